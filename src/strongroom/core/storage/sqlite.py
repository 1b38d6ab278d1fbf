"""Runs units of work on SQLite: one writing thread commits in groups, and reading threads never wait for it.

A commit needs a flush of the disk, so all units that wait at the same time share one commit. Each runs in its own savepoint: if
it fails, only this unit is undone. A caller gets its result when the shared commit is on disk. If SQLite aborts the whole
transaction, all units in it have failed.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, RootTransaction, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import QueuePool

from strongroom.core.runtime.pool_load import PoolLoad
from strongroom.core.storage.errors import (
    CommitUnknown,
    DatabaseUnavailable,
    DatabaseUnusable,
    translate_sqlite,
)
from strongroom.core.storage.numbers import UNSYNCED

T = TypeVar("T")
Work = Callable[[Connection], T]

READERS = 4
BUSY_TIMEOUT_S = 30
MAX_UNITS = 64
BUSY_PAUSE_S = 0.01
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-16000")
READ_ONLY_PRAGMAS = ("query_only=ON", "foreign_keys=ON")


class SqliteEngine:
    """Runs units of work for `Database`."""

    def __init__(self, url: URL) -> None:
        self._writer = _GroupWriter(sqlite_engine(url, pool_size=1, begin="BEGIN IMMEDIATE"))
        self._reader = sqlite_engine(url, pool_size=READERS, begin="BEGIN")
        self._read_threads = ThreadPoolExecutor(READERS, thread_name_prefix="sqlite-read")
        self._writes, self._reads = PoolLoad("write", 1), PoolLoad("read", READERS)

    @property
    def loads(self) -> tuple[PoolLoad, ...]:
        return self._writes, self._reads

    async def write(self, work: Work[T]) -> T:
        with self._writes:
            return await self._writer.submit(work)

    async def read(self, work: Work[T]) -> T:
        def unit() -> T:
            with self._reader.connect() as connection:
                return work(connection)

        with self._reads:
            return await asyncio.get_running_loop().run_in_executor(self._read_threads, unit)

    async def close(self) -> None:
        await asyncio.to_thread(self._shut)

    def _shut(self) -> None:
        self._writer.close()
        self._read_threads.shutdown()
        self._reader.dispose()


class _Unit(Generic[T]):
    """A unit of work for the writing thread, with the future that its caller waits for."""

    def __init__(self, work: Work[T]) -> None:
        self._work = work
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()
        self._result: T | None = None
        self.error: BaseException | None = None

    def run(self, connection: Connection) -> None:
        """Runs the unit in a savepoint, so that a failure undoes only this unit."""
        savepoint = connection.begin_nested()
        try:
            self._result = self._work(connection)
            savepoint.commit()
        except BaseException as error:  # noqa: BLE001 - every error goes to the unit's caller
            self.error = error
            savepoint.rollback()

    def run_alone(self, connection: Connection) -> None:
        """Runs the only unit of a batch in the transaction itself, without a savepoint."""
        self._result = self._work(connection)

    def answer(self) -> None:
        """Gives the result to the caller, in the caller's event loop."""
        if self.future.done():  # the caller was cancelled; the work is done
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self._result)  # type: ignore[arg-type]  # None only where T allows it


class _GroupWriter:
    """The writing thread, with one connection; it runs all waiting units in one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: SimpleQueue[_Unit[Any] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._closed = False

    def submit(self, work: Work[T]) -> asyncio.Future[T]:
        if self._closed:
            raise RuntimeError("the database is closed")
        if self._thread is None:
            self._thread = Thread(target=self._run, name="sqlite-write", daemon=True)
            self._thread.start()
        unit = _Unit(work)
        self._queue.put(unit)
        return unit.future

    def close(self) -> None:
        """Ends the thread after it has run the waiting units."""
        self._closed = True
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
        self._engine.dispose()

    def _run(self) -> None:
        while (unit := self._queue.get()) is not None:
            batch = [unit]
            with contextlib.suppress(Empty):
                while len(batch) < MAX_UNITS:
                    following = self._queue.get_nowait()
                    if following is None:
                        self._queue.put(None)  # put the end mark back: the thread ends after this batch
                        break
                    batch.append(following)
            self._commit(batch)
            for loop in {one.loop for one in batch}:
                with contextlib.suppress(RuntimeError):  # that loop is closed, so no caller waits there
                    loop.call_soon_threadsafe(_answer, [one for one in batch if one.loop is loop])

    def _commit(self, batch: list[_Unit[Any]]) -> None:
        try:
            with self._engine.connect() as connection:
                transaction = connection.begin()
                for unit in batch:
                    if len(batch) == 1:
                        unit.run_alone(connection)
                    else:
                        unit.run(connection)
                    _check_transaction(connection, unit)
                _end(transaction)
        except BaseException as error:  # noqa: BLE001 - a failed commit fails every unit in it
            cause = _first_cause(batch, error)
            for unit in batch:
                unit.error = unit.error or cause


def _end(transaction: RootTransaction) -> None:
    try:
        transaction.commit()
    except DatabaseUnusable as error:
        if error.number in UNSYNCED:
            raise CommitUnknown from error
        raise


def _first_cause(batch: list[_Unit[Any]], error: BaseException) -> BaseException:
    """The error that made SQLite abort the transaction: the first unit's, not the later complaints about lost savepoints."""
    met = (unit.error for unit in batch if isinstance(unit.error, DatabaseUnavailable))
    return error if isinstance(error, DatabaseUnavailable) else next(met, error)


def _check_transaction(connection: Connection, unit: _Unit[Any]) -> None:
    """Raises if SQLite aborted the whole transaction in this unit, as it does when the disk is full."""
    driver: Any = connection.connection.driver_connection
    if not driver.in_transaction:
        raise unit.error or RuntimeError("SQLite undid the transaction")


def _answer(batch: list[_Unit[Any]]) -> None:
    for unit in batch:
        unit.answer()


class SqliteReader:
    """Reads a database file, and creates no files beside it."""

    def __init__(self, url: URL) -> None:
        self.loads: tuple[PoolLoad, ...] = ()
        self._engine = sqlite_engine(
            read_only_url(Path(url.database or "")), pool_size=1, begin="BEGIN", pragmas=READ_ONLY_PRAGMAS
        )

    async def write(self, _work: Work[T]) -> T:
        raise RuntimeError("this database is only read")

    async def read(self, work: Work[T]) -> T:
        def unit() -> T:
            with self._engine.connect() as connection:
                return work(connection)

        return await asyncio.to_thread(unit)

    async def close(self) -> None:
        self._engine.dispose()


def read_only_url(path: Path) -> URL:
    """The URL for reading a file. A file that no process has open is opened as immutable, so that SQLite creates no files.

    If a process has it open, or was killed, there is a write-ahead log beside it, whose content belongs to the database.
    """
    log, index = (path.with_name(path.name + ending) for ending in ("-wal", "-shm"))
    is_in_use = index.exists() or (log.exists() and log.stat().st_size > 0)
    way = {"mode": "ro"} if is_in_use else {"mode": "ro", "immutable": "1"}
    return URL.create("sqlite", database=f"file:{quote(str(path.absolute()))}", query={**way, "uri": "true"})


def _set(cursor: sqlite3.Cursor, pragma: str) -> None:
    """Sets a pragma; waits for another process that writes to the new file at the same time.

    SQLite does not wait by itself where a file becomes one with a write-ahead log: it fails at once.
    """
    give_up = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            cursor.execute(f"PRAGMA {pragma}")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(BUSY_PAUSE_S)
        else:
            return


def sqlite_engine(url: URL, *, pool_size: int, begin: str, pragmas: Sequence[str] = PRAGMAS) -> Engine:
    """SQLAlchemy's engine, whose errors are ours and whose transactions begin with the statement `begin`."""
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=pool_size,
        max_overflow=0,
        hide_parameters=True,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_S, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def configure(dbapi_connection: Any, _record: object) -> None:
        cursor = dbapi_connection.cursor()
        for pragma in pragmas:
            _set(cursor, pragma)
        cursor.close()

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(
            begin
        )  # with isolation_level None the driver begins no transaction by itself

    event.listen(engine, "handle_error", translate_sqlite, retval=True)
    return engine
