"""Warns before tokens expire, so that nobody's payments stop by surprise."""

from dataclasses import dataclass

import structlog
from sqlalchemy import bindparam, select

from strongroom.core.clock import Clock
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.terminal import minute

log = structlog.get_logger(__name__)

CHECK_S = 600.0
DAY_MS = 86_400_000
SOON_DAYS = 14
WARNED_DAYS = (1, 3, 7, SOON_DAYS)
"""A token is warned of once for each of these."""

_columns = tables.token.c
_EXPIRING = (
    select(_columns.name, _columns.expires_at_ms)
    .where(
        _columns.revoked_at_ms.is_(None),
        _columns.expires_at_ms > bindparam("now_ms"),
        _columns.expires_at_ms <= bindparam("until_ms"),
    )
    .order_by(_columns.expires_at_ms, _columns.id)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiring:
    """An active token that expires soon."""

    name: str
    expires_at_ms: int

    @property
    def sentence(self) -> str:
        return f"{self.name} expires {minute(self.expires_at_ms)}"


async def find_expiring(database: Database, now_ms: int) -> list[Expiring]:
    """The active tokens that expire within two weeks, the first to expire first."""
    times = {"now_ms": now_ms, "until_ms": now_ms + SOON_DAYS * DAY_MS}
    rows = await database.read(lambda connection: connection.execute(_EXPIRING, times).all())
    return [Expiring(name=row.name, expires_at_ms=row.expires_at_ms) for row in rows]


class TokenExpiry:
    """Looks for tokens that expire soon, for the log."""

    def __init__(self, ledger: str, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._warned: set[tuple[Expiring, int]] = set()

    async def look(self) -> None:
        now_ms = self._clock.now_ms()
        found = await find_expiring(self._database, now_ms)
        stages = {(each, _stage(each, now_ms)) for each in found}
        for each, days in sorted(stages - self._warned, key=lambda one: one[0].expires_at_ms):
            log.warning(
                "a token expires soon",
                ledger=self._ledger,
                token=each.name,
                expires=minute(each.expires_at_ms),
                within_days=days,
            )
        self._warned = stages


def _stage(expiring: Expiring, now_ms: int) -> int:
    return next(days for days in WARNED_DAYS if expiring.expires_at_ms <= now_ms + days * DAY_MS)
