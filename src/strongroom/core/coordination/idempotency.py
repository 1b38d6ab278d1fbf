"""The same request gets the same answer, across restarts and replicas.

A request with a key goes through three steps: `begin` puts its row in, the effect's own transaction notes a
`reference` to what was signed (`refer`), `finish` stores the answer. Repeated, it meets the row:

* answered: the stored answer is replayed;
* referred, not answered: `Resume`, the caller resolves what was signed and answers from that;
* neither, and the process that began it is gone: nothing was signed, it starts afresh;
* neither, and that process lives: `IdempotencyRunning`.

What was signed may turn out to be without any effect for ever. Then it may be replaced (`Attempt.replaces`), once.

A process that only paused may wake up after its request was taken over: `refer` then finds the other's reference,
or no row, and fails its transaction. So a key has one signature, whichever process makes it.
"""

from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, Delete, Update, delete, select, update

from strongroom.core.clock import Clock
from strongroom.core.coordination.lease import Leases
from strongroom.core.errors import (
    IdempotencyMismatch,
    IdempotencyRunning,
    InvalidInput,
    LeaseLost,
    OutcomeUnknown,
)
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import DatabaseUnavailable, Duplicate

RETENTION_MS = 48 * 3600 * 1000
MAX_KEY = 190
STILL_RUNNING = "The first request with this Idempotency-Key is still being processed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    status: int
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    scope: str
    key: str
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    scope: str
    key: str
    replaces: str | None = field(default=None, compare=False)
    """What was signed for the request before and surely has no effect; the next signature takes its place."""


def instance_lease(owner: str) -> str:
    """Name of the lease that says that the process `owner` lives."""
    return f"instance:{owner}"


class Idempotency:
    """One process's view of the keys of one ledger. `leases.holder` names the process."""

    def __init__(self, database: Database, clock: Clock, leases: Leases) -> None:
        self._database = database
        self._clock = clock
        self._leases = leases
        self._running: set[Attempt] = set()

    async def begin(self, scope: str, key: str, fingerprint: bytes) -> Replay | Resume | Attempt:
        """Claims `key` for a request whose content hashes to `fingerprint` (32 bytes).

        Raises:
            IdempotencyMismatch: the key belongs to a request with other content.
            IdempotencyRunning: the first request has not ended.
            Unavailable: the database does not say whether it took the key; nothing was signed.
        """
        if not key or len(key) > MAX_KEY or not key.isprintable():
            raise InvalidInput(f"An Idempotency-Key has 1 to {MAX_KEY} printable characters")
        attempt = Attempt(scope=scope, key=key)
        is_first = attempt not in self._running
        self._running.add(attempt)  # before the first await: of two requests at once, one must not pass
        claim = None
        try:
            claim = await self._claim(attempt, fingerprint, is_first=is_first)
        except (
            OutcomeUnknown
        ) as error:  # a claim that may be stored is taken over by the next request with this key
            raise DatabaseUnavailable("The database does not answer; nothing was signed") from error
        finally:
            if is_first and not isinstance(claim, Attempt):
                self._running.discard(attempt)
        return claim

    def refer(self, connection: Connection, attempt: Attempt, reference: str) -> None:
        """Notes, in the transaction that persists the intent, what was signed for this request.

        Raises:
            LeaseLost: the request was taken from this process, which had paused; the transaction must not commit.
        """
        statement = self._open(attempt).where(_is_reference(attempt.replaces))
        if connection.execute(statement.values(reference=reference)).rowcount == 0:
            raise LeaseLost("This request was continued by another process")

    def require_current(self, connection: Connection, attempt: Attempt) -> None:
        """Makes sure that the request is still this process's, before it is judged.

        Raises:
            LeaseLost: as `refer`.
        """
        columns = tables.idempotency.c
        this_one = (columns.scope == attempt.scope, columns.key == attempt.key, columns.status.is_(None))
        query = select(columns.key).where(*this_one, _is_reference(attempt.replaces))
        if connection.execute(query).first() is None:
            raise LeaseLost("This request was continued by another process")

    async def finish(self, attempt: Attempt | Resume, status: int, body: str) -> None:
        """Stores the answer, unless one is stored already, and lets go of the key."""
        statement = self._open(attempt)
        if isinstance(attempt, Attempt):
            statement = statement.where(tables.idempotency.c.owner == self._leases.holder)
        await self._write(statement.values(status=status, body=body))
        self.let_go(attempt)

    async def forget(self, attempt: Attempt) -> None:
        """Nothing was signed and the answer is not final: the key may be used again at once."""
        columns = tables.idempotency.c
        await self._write(
            delete(tables.idempotency).where(
                columns.scope == attempt.scope,
                columns.key == attempt.key,
                columns.owner == self._leases.holder,
                columns.status.is_(None),
                columns.reference.is_(None),
            )
        )
        self.let_go(attempt)

    def let_go(self, attempt: Attempt | Resume) -> None:
        self._running.discard(Attempt(scope=attempt.scope, key=attempt.key))

    async def purge(self) -> None:
        """Deletes what has expired."""
        await self._write(
            delete(tables.idempotency).where(tables.idempotency.c.expires_at_ms < self._clock.now_ms())
        )

    async def _claim(
        self, attempt: Attempt, fingerprint: bytes, *, is_first: bool
    ) -> Replay | Resume | Attempt:
        if is_first and await self._insert(attempt, fingerprint):
            return attempt
        columns = tables.idempotency.c
        this_key = (columns.scope == attempt.scope, columns.key == attempt.key)
        row = await self._database.fetch_one(select(tables.idempotency).where(*this_key))
        if row is None:  # being put in, or just forgotten
            raise IdempotencyRunning(STILL_RUNNING)
        if row.fingerprint != fingerprint:
            raise IdempotencyMismatch("This Idempotency-Key was used for a request with other content")
        if row.status is not None:
            return Replay(status=row.status, body=row.body)
        if not is_first:
            raise IdempotencyRunning(STILL_RUNNING)
        if row.reference is not None:
            return Resume(scope=attempt.scope, key=attempt.key, reference=row.reference)
        if await self._lives_elsewhere(row.owner):
            raise IdempotencyRunning(STILL_RUNNING)
        taken = await self._write(
            self._open(attempt)
            .where(columns.owner == row.owner, columns.reference.is_(None))
            .values(owner=self._leases.holder, created_at_ms=self._clock.now_ms())
        )
        if taken == 0:  # another process was quicker
            raise IdempotencyRunning(STILL_RUNNING)
        return attempt

    async def _insert(self, attempt: Attempt, fingerprint: bytes) -> bool:
        now_ms = self._clock.now_ms()
        row = {
            "scope": attempt.scope,
            "key": attempt.key,
            "fingerprint": fingerprint,
            "owner": self._leases.holder,
            "created_at_ms": now_ms,
            "expires_at_ms": now_ms + RETENTION_MS,
        }
        try:
            await self._database.write(
                lambda connection: connection.execute(tables.idempotency.insert(), row)
            )
        except Duplicate:
            return False
        return True

    async def _write(self, statement: Update | Delete) -> int:
        return await self._database.write(lambda connection: connection.execute(statement).rowcount)

    async def _lives_elsewhere(self, owner: str) -> bool:
        return owner != self._leases.holder and await self._leases.is_held(instance_lease(owner))

    def _open(self, attempt: Attempt | Resume) -> Update:
        """Changes the request's row while it has no answer."""
        columns = tables.idempotency.c
        return update(tables.idempotency).where(
            columns.scope == attempt.scope, columns.key == attempt.key, columns.status.is_(None)
        )


def _is_reference(reference: str | None) -> ColumnElement[bool]:
    column = tables.idempotency.c.reference
    return column.is_(None) if reference is None else column == reference
