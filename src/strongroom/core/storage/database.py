"""One ledger's database: SQLite (WAL) in a file, or MySQL/MariaDB.

A unit of work is a plain function over a SQLAlchemy connection: `await database.write(work)` runs it in one
transaction. SQLite runs it whole in a thread (one hop instead of one a statement, a fifth of the CPU time of
an asyncio driver); MySQL runs it on asyncmy through SQLAlchemy's greenlet bridge. As it cannot await, a
transaction can never wait for a node, a client or a lock of ours.

Hazards:
* SQLite has one writer. Write units queue for one thread and start with BEGIN IMMEDIATE, so they never fail
  half-way with "database is locked"; those that wait together share one commit.
* A commit is on disk (synchronous=FULL): a signed intent that is not on disk must never be submitted.
* A cancelled caller does not undo its unit of work: it commits or rolls back by itself.
* Errors do not show a statement's values (hide_parameters): some are secrets, and errors are logged.
* No error of a driver leaves here, nor reaches a unit of work: all are of the house's tree (`core.storage.errors`).

The statements that differ between the two databases stand here and nowhere else.
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
from strongroom.core.storage.errors import (
    CommitUnknown,
    ConnectionSevered,
    DatabaseUnavailable,
    DatabaseUnusable,
)
from strongroom.core.storage.mysql import MysqlEngine
from strongroom.core.storage.mysql_queries import QueryPool
from strongroom.core.storage.sqlite import SqliteEngine, SqliteReader
from strongroom.core.storage.statements import Statement, Values, execute, marked

T = TypeVar("T")
Work = Callable[[Connection], T]

FIRST_PAUSE_S = 0.02
MAX_PAUSE_S = 0.5
CLOSE_S = 10.0
ANSWER_S = 30.0
"""Time after which a server that is silent, or keeps a unit waiting for a lock, counts as away. SQLite never is."""


class UnsignedBig(TypeDecorator[int]):
    """An int from 0 to 2^64-1. SQLite has no unsigned 64-bit number: there it is 20 digits of text, which sort."""

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
    """Bytes of at most `length`."""
    return LargeBinary(length).with_variant(mysql.VARBINARY(length), "mysql", "mariadb")


def ascii_text(length: int) -> TypeEngine[str]:
    """Text compared byte for byte (MySQL's default collation would ignore case)."""
    exact = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return String(length).with_variant(exact, "mysql", "mariadb")


def ascii_key(value: str) -> str:
    """Encodes a value to look for in a column of `ascii_text`. For other letters MySQL fails instead of finding nothing."""
    return value if value.isascii() else ""


def exact_text(length: int) -> TypeEngine[str]:
    """Unicode text compared byte for byte (MySQL: but for spaces at its end)."""
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return String(length).with_variant(exact, "mysql", "mariadb")


class Database:
    """Runs units of work. `is_sqlite` and the helpers below are for the few places where dialects differ."""

    def __init__(
        self,
        url: URL,
        *,
        pool_size: int = 16,
        read_only: bool = False,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
    ) -> None:
        """`read_only`: `write` is an error. `clock` and `entropy` space the attempts at a unit that may run again."""
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._clock = clock or SystemClock()
        self.entropy = entropy or SystemEntropy()
        self.is_read_only = read_only
        self._engine = self._open(url, pool_size)
        self._queries = None if self.is_sqlite else QueryPool(url, max(1, pool_size // 2))
        self._units: set[asyncio.Task[Any]] = set()
        self._owns_engine = True
        self._closed = False
        self._failure: DatabaseUnusable | None = None

    def _open(self, url: URL, pool_size: int) -> "_Engine":
        if not self.is_sqlite:
            return MysqlEngine(url, pool_size)
        return SqliteReader(url) if self.is_read_only else SqliteEngine(url)

    def beside(self) -> Self:
        """The same database for the event loop of another thread. It is closed there, before this one.

        SQLite's writing thread is shared, which gives every loop its turn; MySQL gets a connection of its own.
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
        """Runs `work` in a write transaction: all of it is committed, or none of it. None: it may take long.

        It runs again when the database undid it for others' sake, or broke the connection before the commit, so it
        must have no other effect.

        Raises:
            Unavailable: the database does not do it; nothing was committed.
            OutcomeUnknown: it went silent or failed during the commit, and may commit the unit yet.
            Duplicate, UnfitValue, DatabaseRefused: it refused a statement of `work`.
        """
        if self.is_read_only:
            raise RuntimeError("this database is only read")
        if self.is_sqlite:
            return await self._patiently(lambda: self._engine.write(work))
        try:
            async with asyncio.timeout(answer_s):
                return await self._patiently(lambda: self._shielded(self._engine.write(work)))
        except TimeoutError:
            raise CommitUnknown from None

    async def read(self, work: Work[T]) -> T:
        """Runs `work` for reading, on one snapshot.

        Raises:
            Unavailable: the database does not answer.
        """
        if self.is_sqlite:  # a thread, which no cancellation reaches
            return await self._patiently(lambda: self._engine.read(work))
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._patiently(lambda: self._shielded(self._engine.read(work)))
        except TimeoutError:
            raise ConnectionSevered from None

    async def query(self, statement: Statement | str, *arguments: Any) -> Sequence[Values]:
        """The rows of one SELECT: the quick way for hot paths. A text has `{}` for each argument.

        Raises:
            Unavailable: the database does not answer.
        """
        queries = self._queries
        if queries is None:
            return await self.read(lambda connection: execute(connection, statement, *arguments))
        parameters: Sequence[Any] = arguments
        if isinstance(statement, str):
            text = marked(statement, "%s")
        else:
            compiled = statement.compiled("mysql")
            text, parameters = compiled.text, compiled.bind(arguments)
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._patiently(lambda: queries.query(text, parameters))
        except TimeoutError:
            raise ConnectionSevered from None

    def take_failure(self) -> DatabaseUnusable | None:
        """Returns why a unit of work was not stored since the last call. A smaller unit may fit where that one did not."""
        failure, self._failure = self._failure, None
        return failure

    async def fetch_all(self, statement: Executable) -> Sequence[Row[Any]]:
        return await self.read(lambda connection: connection.execute(statement).all())

    async def fetch_one(self, statement: Executable) -> Row[Any] | None:
        return await self.read(lambda connection: connection.execute(statement).first())

    async def close(self, patience_s: float = CLOSE_S) -> None:
        """Waits for the units under way, also where the caller is gone. It does not wait for a silent database."""
        self._closed = True
        if self._units:
            await asyncio.wait(self._units, timeout=patience_s)
        if self._queries is not None:
            self._queries.close()
        if self._owns_engine:
            await self._engine.close()

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Runs a unit again that left nothing behind, for as long as the kind of error allows.

        The pauses grow and are random: two nodes whose transactions undo each other's must not meet again.
        """
        failed_s: float | None = None
        backoff = Backoff(self._clock, self.entropy, first_s=FIRST_PAUSE_S, cap_s=MAX_PAUSE_S)
        while True:
            try:
                return await attempt()
            except DatabaseUnavailable as error:
                pause_s = backoff.next_delay_s()
                now_s = self._clock.monotonic_s()
                failed_s = now_s if failed_s is None else failed_s
                if isinstance(error, DatabaseUnusable):
                    self._failure = error
                if self._closed or now_s - failed_s + pause_s > error.patience_s:
                    raise
            await self._clock.sleep(pause_s)

    async def _shielded(self, run: Coroutine[Any, Any, T]) -> T:
        """A commit under way when the caller is cancelled must end, and not tear the connection.

        asyncmy turns a cancellation into a broken connection, and its caller would go on uncancelled.
        """
        unit = asyncio.create_task(run)
        self._units.add(unit)
        unit.add_done_callback(self._ended)
        return await asyncio.shield(unit)

    def _ended(self, unit: asyncio.Task[Any]) -> None:
        self._units.discard(unit)
        if not unit.cancelled():
            unit.exception()  # asyncio complains of one that nobody asked for; a caller that is gone does not


def insert_ignore(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows; one whose unique key exists already leaves the existing row as it is."""
    connection.execute(_insert_ignore(table, connection.dialect.name), rows)


@lru_cache
def _insert_ignore(table: Table, dialect: str) -> Insert:
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    # INSERT IGNORE would also hide truncation; a no-op update passes over the duplicate key alone.
    key = next(iter(table.primary_key.columns))
    return mysql.insert(table).on_duplicate_key_update({key.name: key})


def upsert(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], update: Sequence[str]
) -> None:
    """Inserts rows; where the primary key exists, the columns `update` take the new values."""
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
    """Inserts rows; where the primary key exists, the number in `column` is raised to the new one, never lowered."""
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
    """SELECT ... FOR UPDATE; SQLite omits the words and needs none, its writer is alone."""
    return statement.with_for_update()


def holding(statement: Select[Any]) -> Select[Any]:
    """SELECT ... LOCK IN SHARE MODE: others may read it, nobody changes it until the transaction ends."""
    return statement.with_for_update(read=True)


def sqlite_url(path: str) -> URL:
    return URL.create("sqlite", database=path)


def mysql_url(*, host: str, port: int, name: str, user: str, password: str) -> URL:
    return URL.create("mysql+asyncmy", user, password, host, port, name, query={"charset": "utf8mb4"})


class _Engine(Protocol):
    async def write(self, work: Work[T], /) -> T: ...
    async def read(self, work: Work[T], /) -> T: ...
    async def close(self) -> None: ...
