"""What pages look at, as the databases have it now: compared and told to nobody."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from strongroom.admin.estate import Estate
from strongroom.core.errors import StrongroomError
from strongroom.core.guard.approvals.approval import OPEN
from strongroom.core.guard.approvals.document import as_document
from strongroom.core.intents.intent import Outcome
from strongroom.core.intents.payments import PaymentFilter, PaymentRecord
from strongroom.core.ledger.contract import Ledger
from strongroom.core.ledger.life.reading import find_lives

LIMIT: Final = 100


class Subjects:
    def __init__(self, estate: Estate) -> None:
        self._estate = estate

    async def payment(self, name: str) -> bytes:
        async def life(ledger: Ledger) -> Any:
            return [one.document for one in await find_lives(ledger, name, self._estate.now_ms)]

        return await self._each(life)

    async def payments(self) -> bytes:
        return await self._each(self._lately)

    async def approvals(self) -> bytes:
        return await self._each(_waiting)

    async def overview(self) -> bytes:
        async def standing(ledger: Ledger) -> Any:
            freezes = [one.id for one in await ledger.rules.freezes()]
            return await asyncio.gather(self._lately(ledger), _waiting(ledger)), freezes

        health = {
            name: (one.status.value, one.detail if one.status.value != "UP" else None)
            for name, one in self._estate.health.components().items()
        }
        return await self._each(standing) + msgspec.json.encode(health)

    async def _lately(self, ledger: Ledger) -> Any:
        newest = await ledger.payments.page(PaymentFilter(), limit=10)
        in_flight = await ledger.payments.page(PaymentFilter(state=Outcome.OPEN), limit=LIMIT)
        return [_standing(one) for one in (*newest, *in_flight)]

    async def _each(self, look: Callable[[Ledger], Awaitable[Any]]) -> bytes:
        """Of every ledger; the name of what went wrong where something did."""

        async def one(name: str) -> Any:
            try:
                return await look(self._estate.find(name))
            except StrongroomError as error:
                return error.instance_code

        return msgspec.json.encode(await asyncio.gather(*map(one, self._estate.names)))


async def _waiting(ledger: Ledger) -> Any:
    return [as_document(one) for one in await ledger.approvals.page(OPEN, limit=LIMIT)]


def _standing(one: PaymentRecord) -> list[str]:
    execution = "" if one.execution is None else one.execution.value
    return [one.id.hex(), one.state.value, one.stage, execution, str(one.is_stuck)]
