"""When and from where tokens were used, and where they were refused.

A request only notes its use in memory. A loop writes what was noted: the last use of a token at most once a minute for each
process, so that a busy token costs no write for each request. A process that is killed loses at most the last minute.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog
from sqlalchemy import Connection, bindparam, update

from strongroom.core.clock import Clock
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, insert_ignore

log = structlog.get_logger(__name__)

WRITE_S = 5.0
"""The pause between two looks for what is to be written."""
EVERY_MS = 60_000
MAX_SOURCES = 8
MAX_SOURCE = 64


_uses = tables.token_use.c
_LATER = (
    update(tables.token_use)
    .where(_uses.token == bindparam("of"), _uses.used_at_ms < bindparam("at_ms"))
    .values(used_at_ms=bindparam("at_ms"), source=bindparam("seen_from"))
)


@dataclass(slots=True)
class _Refusals:
    """Of one token, since they were last written."""

    principal: Principal
    times: int = 0
    sources: set[str] = field(default_factory=set)


class TokenUses:
    """Notes the uses of tokens in this process, and writes them."""

    def __init__(self, database: Database, audit: Audit, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._uses: dict[str, tuple[int, str]] = {}
        self._refusals: dict[str, _Refusals] = {}
        self._written_at_ms: dict[tuple[str, str], int] = {}

    def note(self, principal: Principal) -> None:
        """Notes that the principal's token was used."""
        if principal.token is not None:
            self._uses[principal.token] = (self._clock.now_ms(), principal.source)

    def note_refusal(self, principal: Principal) -> None:
        """Notes that the principal's token came from where it may not be used."""
        if principal.token is None:
            return
        refusals = self._refusals.setdefault(principal.token, _Refusals(principal))
        refusals.times += 1
        if len(refusals.sources) < MAX_SOURCES:
            refusals.sources.add(principal.source[:MAX_SOURCE])

    async def write(self, *, everything: bool = False) -> None:
        """Writes what was noted, of each token at most once a minute; `everything`: now, because the process ends.

        Raises:
            Unavailable: the database does not answer; what was noted stays noted.
        """
        now_ms = self._clock.now_ms()
        uses = {
            token: use
            for token, use in self._uses.items()
            if everything or self._is_due(("use", token), now_ms)
        }
        refusals = {
            token: found
            for token, found in self._refusals.items()
            if everything or self._is_due(("refusal", token), now_ms)
        }
        if not uses and not refusals:
            return
        for token in refusals:
            del self._refusals[token]  # now, so that what comes meanwhile is noted for the next time

        def work(connection: Connection) -> None:
            if uses:
                _store(connection, uses)
            for token, found in refusals.items():
                details = {"times": found.times, "sources": sorted(found.sources)}
                self._audit.append(connection, found.principal, "token.refuse", token, details)

        try:
            await self._database.write(work)
        except BaseException:
            self._put_back(refusals)
            raise
        for token, use in uses.items():
            self._written_at_ms["use", token] = now_ms
            if self._uses[token] == use:
                del self._uses[token]
        for token, found in refusals.items():
            self._written_at_ms["refusal", token] = now_ms
            log.warning(
                "a token came from where it may not be used",
                token=found.principal.name,
                times=found.times,
                sources=sorted(found.sources),
            )

    def _is_due(self, key: tuple[str, str], now_ms: int) -> bool:
        written_at_ms = self._written_at_ms.get(key)
        return written_at_ms is None or not 0 <= now_ms - written_at_ms < EVERY_MS  # a clock may be set back

    def _put_back(self, refusals: dict[str, _Refusals]) -> None:
        for token, found in refusals.items():
            later = self._refusals.setdefault(token, _Refusals(found.principal))
            later.times += found.times
            later.sources |= set(list(found.sources)[: MAX_SOURCES - len(later.sources)])


def _store(connection: Connection, uses: Mapping[str, tuple[int, str]]) -> None:
    """Another process may have written a later use; that one stays. In one order, so that no two wait for each other."""
    ordered = sorted(uses.items())
    rows = [{"token": token, "used_at_ms": 0, "source": ""} for token, _ in ordered]
    insert_ignore(connection, tables.token_use, rows)
    later = [
        {"of": token, "at_ms": at_ms, "seen_from": source[:MAX_SOURCE]} for token, (at_ms, source) in ordered
    ]
    connection.execute(_LATER, later)
