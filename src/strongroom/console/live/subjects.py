"""What pages look at, as the databases have it now and as far as the viewer may see it: compared and told to nobody."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from strongroom.admin.api.access import PAYMENTS, READ
from strongroom.admin.estate import APPROVE, Authority, Estate
from strongroom.core.errors import Forbidden, StrongroomError
from strongroom.core.guard.approvals.approval import OPEN
from strongroom.core.guard.approvals.document import as_document
from strongroom.core.intents.intent import Outcome
from strongroom.core.intents.payments import PaymentFilter, PaymentRecord
from strongroom.core.ledger.contract import Ledger
from strongroom.core.ledger.life.reading import find_lives

LIMIT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a caller may see, by the ledgers: nobody learns that something happened where they may not look.

    Callers with the same sight look at the same subjects.
    """

    health: tuple[str, ...]
    payments: tuple[str, ...]
    approvals: tuple[str, ...]
    own: tuple[tuple[str, str], ...]
    """Ledgers on which the caller sees their own requests for approval alone, with their name there."""
    away: tuple[str, ...]
    """Ledgers that could not be asked what the caller may see."""

    @classmethod
    def of(cls, authority: Authority) -> "Sight":
        approvals = _with(authority, APPROVE)
        return cls(
            health=_with(authority, READ),
            payments=_with(authority, PAYMENTS),
            approvals=approvals,
            own=tuple(
                (name, one.name) for name, one in authority.principals.items() if name not in approvals
            ),
            away=tuple(sorted(authority.away)),
        )


def _with(authority: Authority, scope: str) -> tuple[str, ...]:
    try:
        return tuple(authority.require(scope).principals)
    except Forbidden:
        return ()


class Subjects:
    """What there is for one sight."""

    def __init__(self, estate: Estate, sight: Sight) -> None:
        self._estate = estate
        self._sight = sight

    async def payment(self, name: str) -> bytes:
        async def life(ledger: Ledger) -> Any:
            return [one.document for one in await find_lives(ledger, name, self._estate.now_ms)]

        return await self._each(self._sight.payments, life)

    async def payments(self) -> bytes:
        return await self._each(self._sight.payments, self._lately)

    async def approvals(self) -> bytes:
        names = dict(self._sight.own)

        async def own(ledger: Ledger) -> Any:
            return await _waiting(ledger, names[ledger.definition.name])

        return await self._each(self._sight.approvals, _waiting) + await self._each(names, own)

    async def overview(self) -> bytes:
        async def freezes(ledger: Ledger) -> Any:
            return [one.id for one in await ledger.rules.freezes()]

        sight = self._sight
        health = {
            name: (one.status.value, one.detail if one.status.value != "UP" else None)
            for name, one in self._estate.health.components().items()
            if name.startswith(sight.health)
        }
        parts = await asyncio.gather(
            self._each(sight.payments, self._lately),
            self._each(sight.approvals, _waiting),
            self._each(sight.health, freezes),
        )
        return b"".join(parts) + msgspec.json.encode(health)

    async def _lately(self, ledger: Ledger) -> Any:
        newest = await ledger.payments.page(PaymentFilter(), limit=10)
        in_flight = await ledger.payments.page(PaymentFilter(state=Outcome.OPEN), limit=LIMIT)
        return [_standing(one) for one in (*newest, *in_flight)]

    async def _each(self, names: Iterable[str], look: Callable[[Ledger], Awaitable[Any]]) -> bytes:
        """Of each of these ledgers; the name of what went wrong where something did."""

        async def one(name: str) -> Any:
            try:
                return await look(self._estate.find(name))
            except StrongroomError as error:
                return error.instance_code

        return msgspec.json.encode(await asyncio.gather(*map(one, names)))


async def _waiting(ledger: Ledger, asked_by: str | None = None) -> Any:
    return [as_document(one) for one in await ledger.approvals.page(OPEN, limit=LIMIT, asked_by=asked_by)]


def _standing(one: PaymentRecord) -> list[str]:
    execution = "" if one.execution is None else one.execution.value
    return [one.id.hex(), one.state.value, one.stage, execution, str(one.is_stuck)]
