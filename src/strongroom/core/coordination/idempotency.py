"""Gives a repeated request the same answer, across restarts and replicas.

A request with a key goes through three steps: `begin` inserts its row, the transaction that signs stores a `reference` to what
was signed (`refer`), and `finish` stores the answer. A repetition finds the row:

* with an answer: the stored answer is sent again;
* with a reference and no answer: `Resume`; the caller finds out the outcome of what was signed and answers with it;
* with neither, and the process that began is gone: nothing was signed, and the request starts again;
* with neither, and that process is alive: `IdempotencyRunning`.

If it is proven that the signed payload can never have an effect, it may be replaced (`Attempt.replaces`), once.

A process that only paused may continue after another process took its request over. Then `refer` finds the other's reference or
no row, and fails the transaction. So a key never has two signatures, whichever processes work on it.
"""

from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, Delete, Update, bindparam, delete, select, update

from strongroom.core.chunks import chunks
from strongroom.core.clock import Clock
from strongroom.core.coordination.lease import Leases
from strongroom.core.errors import (
    IdempotencyMismatch,
    IdempotencyRunning,
    IdempotencyTaken,
    InvalidInput,
    LeaseLost,
    OutcomeUnknown,
)
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import DatabaseUnavailable, Duplicate
from strongroom.core.storage.statements import MAX_PAIRS, Statement, Values, arg, execute, paired

RETENTION_MS = 48 * 3600 * 1000
PURGED_AT_ONCE = 900
_KEYS = tables.idempotency.c
_EXPIRED = (
    select(_KEYS.scope, _KEYS.key).where(_KEYS.expires_at_ms < bindparam("now_ms")).limit(PURGED_AT_ONCE)
)
_DELETE = Statement(
    delete(tables.idempotency).where(paired(_KEYS.scope, _KEYS.key), _KEYS.expires_at_ms < arg("now_ms")),
    "now_ms",
)
MAX_KEY = 190
STILL_RUNNING = "The first request with this Idempotency-Key is still being processed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The stored answer to the first request."""

    status: int
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """The reference to what an earlier request with this key signed."""

    scope: str
    key: str
    reference: str
    fingerprint: bytes = field(default=b"", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The claim of this process to carry out a request."""

    scope: str
    key: str
    replaces: str | None = field(default=None, compare=False)
    """The reference to an earlier payload of the request that can never have an effect; the next signature replaces it."""
    fingerprint: bytes = field(default=b"", compare=False)
    """With which the request can be begun again later, when it is carried out without its client."""


INSTANCE = "instance:"
"""What the names of these leases begin with."""


def instance_lease(owner: str) -> str:
    """The name of the lease that the process `owner` holds while it is alive."""
    return f"{INSTANCE}{owner}"


class Idempotency:
    """The idempotency keys of one ledger, as one process uses them. `leases.holder` names the process."""

    def __init__(self, database: Database, clock: Clock, leases: Leases) -> None:
        self._database = database
        self._clock = clock
        self._leases = leases
        self._running: set[Attempt] = set()

    async def begin(self, scope: str, key: str, fingerprint: bytes) -> Replay | Resume | Attempt:
        """Claims `key` for a request whose content hashes to `fingerprint` (32 bytes).

        Raises:
            IdempotencyMismatch: the key was used for a request with other content; IdempotencyTaken: nothing is signed for that yet.
            IdempotencyRunning: the first request is still running.
            Unavailable: the database does not say whether it stored the claim; nothing was signed.
        """
        if not key or len(key) > MAX_KEY or not key.isprintable():
            raise InvalidInput(f"An Idempotency-Key has 1 to {MAX_KEY} printable characters")
        attempt = Attempt(scope=scope, key=key, fingerprint=fingerprint)
        is_first = attempt not in self._running
        self._running.add(
            attempt
        )  # before the first await, so that of two simultaneous requests only one goes on
        claim = None
        try:
            claim = await self._claim(attempt, fingerprint, is_first=is_first)
        except OutcomeUnknown as error:
            # The claim may be stored. That is harmless: the next request with this key takes it over.
            raise DatabaseUnavailable("The database does not answer; nothing was signed") from error
        finally:
            if is_first and not isinstance(claim, Attempt):
                self._running.discard(attempt)
        return claim

    def refer(self, connection: Connection, attempt: Attempt, reference: str) -> None:
        """Stores, in the transaction that stores the intent, the reference to what was signed for this request.

        Raises:
            LeaseLost: another process took the request over while this one paused; the transaction must not commit.
        """
        statement = self._open(attempt).where(_is_reference(attempt.replaces))
        if connection.execute(statement.values(reference=reference)).rowcount == 0:
            raise LeaseLost("This request was continued by another process")

    def require_current(self, connection: Connection, attempt: Attempt) -> None:
        """Makes sure that the request still belongs to this process, before the request is checked.

        Raises:
            LeaseLost: as `refer`.
        """
        columns = tables.idempotency.c
        this_one = (columns.scope == attempt.scope, columns.key == attempt.key, columns.status.is_(None))
        query = select(columns.key).where(*this_one, _is_reference(attempt.replaces))
        if connection.execute(query).first() is None:
            raise LeaseLost("This request was continued by another process")

    async def finish(self, attempt: Attempt | Resume, status: int, body: str) -> None:
        """Stores the answer unless one is stored already, and ends the claim."""
        statement = self._open(attempt)
        if isinstance(attempt, Attempt):
            statement = statement.where(tables.idempotency.c.owner == self._leases.holder)
        await self._write(statement.values(status=status, body=body))
        self.let_go(attempt)

    async def forget(self, attempt: Attempt) -> None:
        """Deletes the claim of a request that signed nothing and has no final answer, so that the key can be used at once."""
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
        """Ends the claim in this process's memory; the row stays."""
        self._running.discard(Attempt(scope=attempt.scope, key=attempt.key))

    async def purge(self) -> None:
        """Deletes expired keys, so many in a transaction that none takes long."""
        now_ms = self._clock.now_ms()
        while await self._database.write(lambda connection: _delete_expired(connection, now_ms)):
            pass

    async def _claim(
        self, attempt: Attempt, fingerprint: bytes, *, is_first: bool
    ) -> Replay | Resume | Attempt:
        if is_first and await self._insert(attempt, fingerprint):
            return attempt
        columns = tables.idempotency.c
        this_key = (columns.scope == attempt.scope, columns.key == attempt.key)
        row = await self._database.fetch_one(select(tables.idempotency).where(*this_key))
        if row is None:  # another request is inserting it, or has just deleted it
            raise IdempotencyRunning(STILL_RUNNING)
        if row.fingerprint != fingerprint:
            is_running = row.status is None and row.reference is None
            mismatch = IdempotencyTaken if is_running else IdempotencyMismatch
            raise mismatch("This Idempotency-Key was used for a request with other content")
        if row.status is not None:
            return Replay(status=row.status, body=row.body)
        if not is_first:
            raise IdempotencyRunning(STILL_RUNNING)
        if row.reference is not None:
            return Resume(
                scope=attempt.scope, key=attempt.key, reference=row.reference, fingerprint=fingerprint
            )
        if await self._lives_elsewhere(row.owner):
            raise IdempotencyRunning(STILL_RUNNING)
        taken = await self._write(
            self._open(attempt)
            .where(columns.owner == row.owner, columns.reference.is_(None))
            .values(owner=self._leases.holder, created_at_ms=self._clock.now_ms())
        )
        if taken == 0:  # another process took it over first
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
        """An UPDATE of the request's row that matches only while it has no answer."""
        columns = tables.idempotency.c
        return update(tables.idempotency).where(
            columns.scope == attempt.scope, columns.key == attempt.key, columns.status.is_(None)
        )


def _delete_expired(connection: Connection, now_ms: int) -> int:
    """By their keys, because the locks of a range would be in the way of new rows. Returns how many there were."""
    expired: list[Values] = [tuple(row) for row in connection.execute(_EXPIRED, {"now_ms": now_ms})]
    for some in chunks(expired, MAX_PAIRS):
        execute(connection, _DELETE, some, now_ms)
    return len(expired)


def _is_reference(reference: str | None) -> ColumnElement[bool]:
    column = tables.idempotency.c.reference
    return column.is_(None) if reference is None else column == reference
