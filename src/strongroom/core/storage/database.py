"""One ledger's database: SQLite (WAL) in a file, or MySQL/MariaDB.

A unit of work is a plain function over a SQLAlchemy connection: `await database.write(work)` runs it in one transaction. On
SQLite the whole unit runs in a thread: one switch of threads for a unit instead of one for each statement takes a fifth of the
CPU time of an asyncio driver. On MySQL it runs on asyncmy through SQLAlchemy's greenlet bridge. A unit of work cannot await, so
a transaction never waits for a node, a client or a lock of this process.

Hazards:
* SQLite has one writer. Write units queue for one thread and start with BEGIN IMMEDIATE, so they never fail half-way with
  "database is locked". Units that wait at the same time share one commit.
* A commit is on disk (synchronous=FULL): a signed intent that is not on disk must never be submitted.
* When the caller is cancelled, its unit of work continues, and commits or rolls back by itself.
* Errors do not show the values of a statement (hide_parameters): some are secrets, and errors are logged.
* No driver's error reaches a caller or a unit of work: all become classes of `core.storage.errors`.

The statements that differ between the two databases are in this module.
"""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol, Self, TypeVar

from sqlalchemy import (
    BigInteger,
    Connection,
    Dialect,
    LargeBinary,
    Row,
    Select,
    String,
    func,
)
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.sql import Executable
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.schema import Table
from sqlalchemy.types import TypeDecorator, TypeEngine

from strongroom.core.clock import Clock, Entropy, SystemClock, SystemEntropy
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.pool_load import PoolLoad
from strongroom.core.storage.ascii_text import AsciiText
from strongroom.core.storage.cluster.waiting import marked
from strongroom.core.storage.errors import (
    CommitUnknown,
    ConnectionSevered,
    DatabaseUnavailable,
    DatabaseUnusable,
)
from strongroom.core.storage.mysql import MysqlEngine
from strongroom.core.storage.mysql_queries import QueryPool
from strongroom.core.storage.sqlite import SqliteEngine, SqliteReader
from strongroom.core.storage.statements import Statement, Values, execute

T = TypeVar("T")
Work = Callable[[Connection], T]

FIRST_PAUSE_S = 0.02
MAX_PAUSE_S = 0.5
CLOSE_S = 10.0
ANSWER_S = 30.0
"""After this time a server that is silent, or keeps a unit waiting for a lock, counts as away. Not for SQLite."""


class UnsignedBig(TypeDecorator[int]):
    """An int from 0 to 2^64-1. SQLite has no unsigned 64-bit numbers, so there it is text of 20 digits, which sorts correctly."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(20))
        return dialect.type_descriptor(mysql.BIGINT(unsigned=True))

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if not 0 <= value < 2**64:
            raise ValueError(f"{value} is not from 0 to 2^64-1")
        return f"{value:020d}" if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any | None, dialect: Dialect) -> int | None:
        del dialect
        return None if value is None else int(value)


def binary(length: int) -> TypeEngine[bytes]:
    """A column of at most `length` bytes."""
    return LargeBinary(length).with_variant(mysql.VARBINARY(length), "mysql", "mariadb")


def ascii_text(length: int) -> TypeEngine[str]:
    """A column of ASCII text that is compared byte for byte, with any text. MySQL's default collation would ignore case."""
    return AsciiText(length)


def exact_text(length: int) -> TypeEngine[str]:
    """A column of Unicode text that is compared byte for byte. MySQL ignores spaces at the end."""
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return String(length).with_variant(exact, "mysql", "mariadb")


class Database:
    """Runs units of work. `is_sqlite` and the functions below are for the few places where the dialects differ."""

    def __init__(
        self,
        url: URL,
        *,
        pool_size: int = 16,
        read_only: bool = False,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
    ) -> None:
        """With `read_only`, `write` is an error. `clock` and `entropy` set the pauses before a unit runs again."""
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.clock = clock or SystemClock()
        self.entropy = entropy or SystemEntropy()
        self.is_read_only = read_only
        self._engine = self._open(url, pool_size)
        self._queries = None if self.is_sqlite else QueryPool(url, max(1, pool_size // 2))
        self._units: set[asyncio.Task[Any]] = set()
        self._owns_engine = True
        self._closed = False
        self._failure: DatabaseUnusable | None = None
        self._watch: _Watch | None = None

    def watched_by(self, watch: "_Watch") -> None:
        """From now on every write transaction asks `watch` whether this process may still write."""
        self._watch = watch

    def _open(self, url: URL, pool_size: int) -> "_Engine":
        if not self.is_sqlite:
            return MysqlEngine(url, pool_size)
        return SqliteReader(url) if self.is_read_only else SqliteEngine(url)

    def beside(self) -> Self:
        """The same database for the event loop of another thread. That thread closes it, before this one is closed.

        On SQLite the two share the writing thread, which serves all loops in turn. On MySQL the other one has its own
        connection.
        """
        other = copy.copy(self)
        own: dict[str, Any] = {"_units": set()}
        if self.is_sqlite:
            own["_owns_engine"] = False
        else:
            own |= {"_engine": MysqlEngine(self.url, 1), "_queries": None}
        vars(other).update(own)
        return other

    async def write(self, work: Work[T], *, answer_s: float | None = ANSWER_S) -> T:
        """Runs `work` in a write transaction: all of it is committed, or none of it. `answer_s` None sets no time limit.

        `work` may run several times: again when the database undid it because of other transactions, or when the connection
        broke before the commit. So it must have no effect outside the transaction.

        Raises:
            Unavailable: the database failed; nothing was committed.
            OutcomeUnknown: the database went silent or failed during the commit, and may still commit.
            Duplicate, UnfitValue, DatabaseRefused: the database refused a statement of `work`.
        """
        if self.is_read_only:
            raise RuntimeError("this database was opened for reading only")
        if self._watch is not None:
            work = self._watch.guarded(work)
        if self.is_sqlite:
            return await self._patiently(lambda: self._engine.write(work))
        try:
            async with asyncio.timeout(answer_s):
                return await self._patiently(lambda: self._shielded(self._engine.write(work)))
        except TimeoutError:
            raise CommitUnknown from None  # the shielded unit goes on, and may commit after this

    async def read(self, work: Work[T]) -> T:
        """Runs `work` for reading. All its statements see one snapshot.

        Raises:
            Unavailable: the database does not answer.
        """
        if self.is_sqlite:  # it runs in a thread, which a cancellation does not reach
            return await self._patiently(lambda: self._engine.read(work))
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._patiently(lambda: self._shielded(self._engine.read(work)))
        except TimeoutError:
            raise ConnectionSevered from None

    async def query(self, statement: Statement, *arguments: Any) -> Sequence[Values]:
        """The rows of one SELECT: the quick way for hot paths.

        Raises:
            Unavailable: the database does not answer.
        """
        queries = self._queries
        if queries is None:
            return await self.read(lambda connection: execute(connection, statement, *arguments))
        text, parameters = statement.compiled("mysql").bound(arguments)
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._patiently(lambda: queries.query(text, parameters))
        except TimeoutError:
            raise ConnectionSevered from None

    @property
    def loads(self) -> tuple[PoolLoad, ...]:
        """How much of each pool of connections is used. On SQLite the writing thread counts as a pool of one."""
        return self._engine.loads if self._queries is None else (*self._engine.loads, self._queries.load)

    def take_failure(self) -> DatabaseUnusable | None:
        """Returns and forgets why a unit of work failed since the last call.

        The check of the database asks this: a full disk may refuse a large unit and still take the check's own row.
        """
        failure, self._failure = self._failure, None
        return failure

    async def fetch_all(self, statement: Executable) -> Sequence[Row[Any]]:
        return await self.read(lambda connection: connection.execute(statement).all())

    async def fetch_one(self, statement: Executable) -> Row[Any] | None:
        return await self.read(lambda connection: connection.execute(statement).first())

    async def close(self, patience_s: float = CLOSE_S) -> None:
        """Waits for running units, also those whose caller has left, but at most `patience_s`."""
        self._closed = True
        if self._units:
            await asyncio.wait(self._units, timeout=patience_s)
        if self._queries is not None:
            self._queries.close()
        if self._owns_engine:
            await self._engine.close()

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Runs a unit again after an error that changed nothing, for as long as the kind of error allows.

        The pauses grow and are random, so that two nodes whose transactions conflicted do not conflict again.
        """
        failed_s: float | None = None
        backoff = Backoff(self.clock, self.entropy, first_s=FIRST_PAUSE_S, cap_s=MAX_PAUSE_S)
        while True:
            try:
                return await attempt()
            except DatabaseUnavailable as error:
                pause_s = backoff.next_delay_s()
                now_s = self.clock.monotonic_s()
                failed_s = now_s if failed_s is None else failed_s
                if isinstance(error, DatabaseUnusable):
                    self._failure = error
                if self._closed or now_s - failed_s + pause_s > error.patience_s:
                    raise
            await self.clock.sleep(pause_s)

    async def _shielded(self, run: Coroutine[Any, Any, T]) -> T:
        """Runs a unit in a task of its own, so that cancelling the caller does not cancel a commit half-way.

        asyncmy would turn the cancellation into a broken connection, and the caller would continue as if not cancelled.
        """
        unit = asyncio.create_task(run)
        self._units.add(unit)
        unit.add_done_callback(self._ended)
        return await asyncio.shield(unit)

    def _ended(self, unit: asyncio.Task[Any]) -> None:
        self._units.discard(unit)
        if not unit.cancelled():
            unit.exception()  # marks it as seen: asyncio logs an exception that no one retrieves, as after a cancelled caller


def insert_ignore(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows; if a row's unique key exists, the existing row stays as it is."""
    connection.execute(_insert_ignore(table, connection.dialect.name), rows)


@lru_cache
def _insert_ignore(table: Table, dialect: str) -> Insert:
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    # INSERT IGNORE would also hide truncated values. An update that changes nothing ignores only the duplicate key.
    key = next(iter(table.primary_key.columns))
    return mysql.insert(table).on_duplicate_key_update({key.name: key})


def upsert(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], update: Sequence[str]
) -> None:
    """Inserts rows; if a row's primary key exists, its columns in `update` get the new values."""
    if connection.dialect.name == "sqlite":
        lite = sqlite.insert(table)
        keys = list(table.primary_key.columns)
        connection.execute(
            lite.on_conflict_do_update(
                index_elements=keys, set_={name: lite.excluded[name] for name in update}
            ),
            rows,
        )
        return
    my = mysql.insert(table)
    connection.execute(my.on_duplicate_key_update({name: my.inserted[name] for name in update}), rows)


def upsert_highest(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], column: str
) -> None:
    """Inserts rows; if a row's primary key exists, the number in `column` becomes the higher of the old and the new one."""
    old = table.c[column]
    if connection.dialect.name == "sqlite":
        lite = sqlite.insert(table)
        keys = list(table.primary_key.columns)
        highest = func.max(old, lite.excluded[column])
        connection.execute(lite.on_conflict_do_update(index_elements=keys, set_={column: highest}), rows)
        return
    my = mysql.insert(table)
    connection.execute(my.on_duplicate_key_update({column: func.greatest(old, my.inserted[column])}), rows)


def locking(statement: Select[Any]) -> Select[Any]:
    """SELECT ... FOR UPDATE. On SQLite the words are omitted, because it has only one writer."""
    return statement.with_for_update()


def holding(statement: Select[Any]) -> Select[Any]:
    """SELECT ... LOCK IN SHARE MODE: other transactions may read the rows, but not change them until this one ends."""
    return statement.with_for_update(read=True)


def sqlite_url(path: str) -> URL:
    return URL.create("sqlite", database=path)


def mysql_url(*, host: str, port: int, name: str, user: str, password: str, waits: bool = True) -> URL:
    """`waits`: a unit of work at a node of a cluster waits until that has what the other nodes committed before."""
    url = URL.create("mysql+asyncmy", user, password, host, port, name, query={"charset": "utf8mb4"})
    return marked(url, waits=waits)


class _Watch(Protocol):
    def guarded(self, work: Work[T], /) -> Work[T]: ...


class _Engine(Protocol):
    async def write(self, work: Work[T], /) -> T: ...
    async def read(self, work: Work[T], /) -> T: ...
    async def close(self) -> None: ...

    @property
    def loads(self) -> tuple[PoolLoad, ...]: ...
