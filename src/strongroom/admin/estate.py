"""The ledgers that the admin API governs, and what a caller may do with each of them.

Tokens live in the database of each ledger. A token has authority over the ledgers in whose databases it stands, with the scopes
that it has there. A ledger whose database does not answer is away: nobody has authority over it, and the others go on.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from strongroom.core.advice import Chapter
from strongroom.core.clock import Clock
from strongroom.core.errors import (
    CredentialUnclear,
    Forbidden,
    NotFound,
    RateLimited,
    StrongroomError,
    Unauthenticated,
    Unavailable,
    VaultError,
)
from strongroom.core.guard.rule import approve_scope
from strongroom.core.ledger.contract import Coin, Ledger
from strongroom.core.runtime.telemetry import Health
from strongroom.core.security.access import ADMIN_SCOPES, Principal
from strongroom.core.security.attempts import Burst
from strongroom.core.security.authentication import Gatekeeper
from strongroom.core.security.credentials import Credentials

AWAY_CODE: Final = "ledger_away"
APPROVE: Final = "admin:approve"


class LedgerAway(Unavailable):
    """The ledger's database does not answer, or is not prepared yet."""

    code = AWAY_CODE


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """What one caller may do: the principal that it is on each ledger, and the ledgers that could not be asked."""

    principals: Mapping[str, Principal]
    away: Mapping[str, StrongroomError]

    @property
    def name(self) -> str:
        """Of the caller, as the audit trails have it."""
        return ", ".join(sorted({one.name for one in self.principals.values()}))

    def require(self, scope: str) -> "Authority":
        """The authority over those ledgers where the caller has the scope.

        Raises:
            Forbidden: that is none.
        """
        kept = {name: one for name, one in self.principals.items() if _may(one, scope, name)}
        if not kept:
            raise Forbidden(f"{self.name} lacks the scope {scope}", code="scope_missing")
        return replace(self, principals=kept)

    def require_any(self) -> "Authority":
        """As `require`, for any scope of the admin API."""
        kept = {
            name: one
            for name, one in self.principals.items()
            if any(_may(one, scope, name) for scope in ADMIN_SCOPES)
        }
        if not kept:
            raise Forbidden("The token has no scope of the admin API", code="scope_missing")
        return replace(self, principals=kept)

    def on(self, ledger: str) -> Principal:
        """Raises: Forbidden."""
        found = self.principals.get(ledger)
        if found is None:
            raise Forbidden(f"The token has no authority over {ledger}", code="scope_missing")
        return found


class Estate:
    """The ledgers of this process."""

    def __init__(self, ledgers: Sequence[Ledger], health: Health, clock: Clock) -> None:
        self._ledgers = {one.definition.name: one for one in ledgers}
        self._gates = {
            name: Gatekeeper(one.token_check, required=True) for name, one in self._ledgers.items()
        }
        self._clock = clock
        self.health = health

    @property
    def names(self) -> Sequence[str]:
        return tuple(self._ledgers)

    @property
    def now_ms(self) -> int:
        return self._clock.now_ms()

    def find(self, name: str) -> Ledger:
        """Raises: NotFound: no such ledger is served here; LedgerAway: it cannot be asked now."""
        ledger = self._ledgers.get(name)
        if ledger is None:
            raise NotFound(
                f"This process serves no ledger {name[:40]!r}; it serves {', '.join(self._ledgers)}",
                code="ledger_not_found",
            )
        if not ledger.is_prepared:
            raise LedgerAway(f"The database of {name} does not answer; nothing was changed")
        return ledger

    def holds_keys(self, name: str) -> bool:
        """Whether the ledger seals anything."""
        return self._ledgers[name].custody is not None

    def is_sealed(self, name: str) -> bool:
        """Whether the ledger holds keys that are not in memory."""
        custody = self._ledgers[name].custody
        return custody is not None and not custody.is_open

    def title_of(self, name: str) -> str:
        return self._ledgers[name].definition.title

    def coin_of(self, name: str) -> Coin:
        return self._ledgers[name].definition.coin

    def advice(self) -> list[Chapter]:
        """What the ledgers say of their own error codes."""
        found = (one.definition.advice() for one in self._ledgers.values())
        return [one for one in found if one is not None]

    async def identify(
        self, credentials: Credentials, names: Sequence[str], request_id: str = ""
    ) -> Authority:
        """Finds out who the caller is on each of these ledgers.

        Raises:
            Unauthenticated, Forbidden, RateLimited: on none of them, and all answer.
            CredentialUnclear: it is unknown on those that answer, and others do not answer.
            Unavailable, VaultError: none answers, or it is refused by those that know it.
        """
        found = await asyncio.gather(*(self._identify(credentials, name) for name in names))
        told = dict(zip(names, found, strict=True))
        principals = {
            name: replace(one, request_id=request_id)
            for name, one in told.items()
            if isinstance(one, Principal)
        }
        refused = [one for one in told.values() if isinstance(one, Unauthenticated | Forbidden | RateLimited)]
        away = {
            name: one for name, one in told.items() if isinstance(one, StrongroomError) and one not in refused
        }
        if not principals:
            raise _refusal(sorted(refused, key=_says_least), [*away.values()])
        return Authority(principals=principals, away=away)

    def record(self, burst: Burst) -> None:
        """In the audit trail of each ledger: whoever guesses here wants to govern all of them."""
        for ledger in self._ledgers.values():
            if ledger.is_prepared:
                ledger.bursts(burst)

    async def _identify(self, credentials: Credentials, name: str) -> Principal | StrongroomError:
        try:
            self.find(name)
            return await self._gates[name].identify(credentials)
        except (Unauthenticated, Forbidden, RateLimited, Unavailable, VaultError) as error:
            return error


def _may(principal: Principal, scope: str, ledger: str) -> bool:
    """A ledger's own right to approve opens its approvals, if it is named: with `*` nobody was meant to get it."""
    if scope == APPROVE and approve_scope(ledger) in principal.scopes:
        return True
    return principal.may_administer(scope)


def _refusal(refused: Sequence[StrongroomError], away: Sequence[StrongroomError]) -> StrongroomError:
    """What a caller is told whom no ledger admits. `refused`: what says most first."""
    if not away:
        return refused[0]
    if refused and isinstance(refused[0], Unauthenticated):
        return CredentialUnclear(away[0].message, code=away[0].instance_code)
    return away[0]


def _says_least(error: StrongroomError) -> bool:
    """A token that stands somewhere and was refused there is told why."""
    return isinstance(error, Unauthenticated)
