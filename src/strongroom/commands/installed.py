"""The databases of an installation, each with the migrations that it needs; and a way to look into one without a trace."""

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from strongroom.atto.ledger import REVISIONS as ATTO
from strongroom.bittensor.ledger import REVISIONS as BITTENSOR
from strongroom.core.errors import StrongroomError, Unavailable
from strongroom.core.storage.database import Database
from strongroom.core.storage.schema import Revisions, require_current, shown
from strongroom.hathor.ledger import REVISIONS as HATHOR
from strongroom.settings import Settings

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


def installed(settings: Settings) -> list[Installed]:
    """Of every configured ledger."""
    found: list[Installed] = []
    if (atto := settings.atto) is not None:
        found.append(Installed(ledger="atto", url=atto.database, revisions=(ATTO,)))
    if (hathor := settings.hathor) is not None:
        short = hathor.short_credentials
        found.append(
            Installed(ledger="hathor", url=hathor.database, revisions=(HATHOR,), short_credentials=short)
        )
    if (bittensor := settings.bittensor) is not None:
        short = bittensor.short_credentials
        found.append(
            Installed(
                ledger="bittensor", url=bittensor.database, revisions=(BITTENSOR,), short_credentials=short
            )
        )
    return found


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
    """An operator is told which database cannot be used, and why in the driver's words.

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


async def require_installed(settings: Settings, ledger: str) -> None:
    """For commands that work on what is there: none of them makes a database by mistake, or changes its schema.

    Raises: as `require_current`.
    """
    for one in installed(settings):
        if one.ledger == ledger:
            async with looking(one) as database:
                await require_current(database, one.revisions)


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
