"""Opens the database of an installation for reading, without changing or creating any file."""

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from strongroom.core.errors import StrongroomError, Unavailable
from strongroom.core.revisions import Revisions
from strongroom.core.storage.database import Database
from strongroom.core.storage.schema import require_current, shown

LEAST_ROOM = 4 << 20
"""In bytes. SQLite's write-ahead log grows to this size before it is moved into the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """One ledger's database."""

    ledger: str
    url: URL
    revisions: tuple[Revisions, ...]
    short_credentials: tuple[str, ...] = ()
    """The variables whose secrets are short with the operator's permission. A new database is not created with such secrets."""


@asynccontextmanager
async def looking(one: Installed) -> AsyncIterator[Database]:
    """Opens the database for reading only. Raises as `named`."""
    database = Database(one.url, pool_size=2, read_only=True)
    try:
        with named(database):
            yield database
    finally:
        await database.close()


@contextmanager
def named(database: Database) -> Iterator[None]:
    """Adds the database's address and the driver's own text to an error, for the operator.

    Raises:
        Unavailable: the block raised one that the driver caused.
    """
    with named_url(database.url):
        yield


@contextmanager
def named_url(url: URL) -> Iterator[None]:
    """The same for a database that is not open. Raises as `named`."""
    try:
        yield
    except Unavailable as error:
        cause: BaseException = error
        while isinstance(cause, StrongroomError) and cause.__cause__ is not None:
            cause = cause.__cause__
        if cause is error:
            raise
        where = url.render_as_string(hide_password=True)
        raise Unavailable(f"The database {where} cannot be used: {cause}", code=error.instance_code) from None


@asynccontextmanager
async def reading(one: Installed) -> AsyncIterator[Database]:
    """Opens the database as `looking`, if its schema is up to date.

    Raises:
        Unavailable: it is not; the check of the database itself gives the reason.
    """
    async with looking(one) as database:
        try:
            await require_current(database, one.revisions)
        except StrongroomError:
            raise Unavailable(f"not checked: see {one.ledger} database") from None
        yield database


async def check_schema(one: Installed) -> str:
    """Checks the schema and the free space, and returns the database's address. Raises as `require_current`, and Unavailable."""
    async with looking(one) as database:
        await require_current(database, one.revisions)
        if database.is_sqlite:
            require_room(Path(database.url.database or "").parent, LEAST_ROOM)
        return shown(database)


def require_room(folder: Path, least: int) -> None:
    """Makes sure that the folder's disk has at least `least` free bytes.

    Raises:
        Unavailable: it has less.
    """
    free = shutil.disk_usage(folder).free
    if free < least:
        raise Unavailable(
            f"{folder} has {free} bytes left. When the disk is full, the database stores nothing and the service answers"
            " with 503: free some space"
        )
