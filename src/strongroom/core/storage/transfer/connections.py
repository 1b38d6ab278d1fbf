"""Connections for reading all of a database as it is at one moment, and for filling another one.

Everything here runs inside `run`: SQLAlchemy's greenlet lets plain functions use MySQL's asynchronous driver.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import greenlet_spawn

from strongroom.core.storage.errors import ConnectionSevered, DatabaseUnavailable
from strongroom.core.storage.mysql import SESSION, UNCONNECTED, mysql_engine
from strongroom.core.storage.sqlite import READ_ONLY_PRAGMAS, read_only_url, sqlite_engine

T = TypeVar("T")

LONG = SESSION + " /*M! , idle_transaction_timeout=0 */"
"""One side may wait long for the other one."""
FILLING = f"{LONG}, foreign_key_checks=0, sql_mode=CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')"
"""A row with the number 0 keeps it."""
FILLING_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=OFF")


async def run(work: Callable[[], T]) -> T:
    """Runs a function that uses the connections of this module."""
    return await greenlet_spawn(work)


@contextmanager
def snapshot(url: URL) -> Iterator[Connection]:
    """Every statement over this connection sees the database as it is now, whatever others write meanwhile."""
    if url.get_backend_name() == "sqlite":
        path = read_only_url(Path(url.database or ""))
        engine = sqlite_engine(path, pool_size=1, begin="BEGIN", pragmas=READ_ONLY_PRAGMAS)
        with _connected(engine) as connection:
            connection.exec_driver_sql("SELECT COUNT(*) FROM sqlite_master").all()  # the snapshot begins here
            yield connection
        return
    engine = mysql_engine(url, 1, "REPEATABLE READ", LONG).sync_engine
    with _connected(engine) as connection:
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        yield connection


@contextmanager
def filling(url: URL) -> Iterator[Connection]:
    """A connection to write with. Foreign keys are not checked: tables come in any order."""
    if url.get_backend_name() == "sqlite":
        engine = sqlite_engine(url, pool_size=1, begin="BEGIN IMMEDIATE", pragmas=FILLING_PRAGMAS)
    else:
        engine = mysql_engine(url, 1, "READ COMMITTED", FILLING).sync_engine
    with _connected(engine) as connection:
        yield connection


@contextmanager
def _connected(engine: Engine) -> Iterator[Connection]:
    try:
        connection = _connect(engine)
        try:
            yield connection
        finally:
            with suppress(DatabaseUnavailable, DBAPIError):  # nothing is left to commit
                connection.close()
    finally:
        engine.dispose()


def _connect(engine: Engine) -> Connection:
    try:
        return engine.connect()
    except UNCONNECTED as error:
        raise ConnectionSevered from error
