"""The database of an installation, and a way to look into it without a trace."""

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from strongroom.core.errors import StrongroomError, Unavailable
from strongroom.core.storage.database import Database
from strongroom.core.storage.schema import Revisions, require_current, shown

LEAST_ROOM = 4 << 20
"""SQLite's log grows to so many bytes before it goes into the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """One ledger's database."""

    ledger: str
    url: URL
    revisions: tuple[Revisions, ...]
    short_credentials: tuple[str, ...] = ()
    """Variables whose secrets are short because the operator allows it, which a new database does not begin with."""


@asynccontextmanager
async def looking(one: Installed) -> AsyncIterator[Database]:
    """The database, opened for reading alone. Raises as `named`."""
    database = Database(one.url, pool_size=2, read_only=True)
    try:
        with named(database):
            yield database
    finally:
        await database.close()


@contextmanager
def named(database: Database) -> Iterator[None]:
    """Tells the operator which database cannot be used, and why, in the driver's words.

    Raises:
        Unavailable: in place of one that the database caused.
    """
    try:
        yield
    except Unavailable as error:
        cause: BaseException = error
        while isinstance(cause, StrongroomError) and cause.__cause__ is not None:
            cause = cause.__cause__
        if cause is error:
            raise
        raise Unavailable(f"The database {shown(database)} cannot be used: {cause}") from None


@asynccontextmanager
async def reading(one: Installed) -> AsyncIterator[Database]:
    """As `looking`, where the schema is as it should be.

    Raises:
        Unavailable: it is not, and the check of the database says so.
    """
    async with looking(one) as database:
        try:
            await require_current(database, one.revisions)
        except StrongroomError:
            raise Unavailable(f"not looked at: see {one.ledger} database") from None
        yield database


async def check_schema(one: Installed) -> str:
    """Where the database is. Raises as `require_current`, and where SQLite has no room left."""
    async with looking(one) as database:
        await require_current(database, one.revisions)
        if database.is_sqlite:
            require_room(Path(database.url.database or "").parent, LEAST_ROOM)
        return shown(database)


def require_room(folder: Path, least: int) -> None:
    """Raises: Unavailable: fewer bytes than `least` are free there."""
    free = shutil.disk_usage(folder).free
    if free < least:
        raise Unavailable(
            f"{folder} has {free} bytes left, and its database can take nothing more soon, which the service answers"
            " with 503: make room"
        )
