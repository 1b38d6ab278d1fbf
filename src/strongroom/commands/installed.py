"""The databases of an installation, each with the migrations that it needs; and a way to look into one without a trace."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.engine import URL

from strongroom.atto.ledger import REVISIONS as ATTO
from strongroom.bittensor.ledger import REVISIONS as BITTENSOR
from strongroom.core.database import Database
from strongroom.core.errors import StrongroomError, Unavailable
from strongroom.core.storage.schema import Revisions, require_current, shown
from strongroom.hathor.ledger import REVISIONS as HATHOR
from strongroom.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """One ledger's database."""

    ledger: str
    url: URL
    revisions: tuple[Revisions, ...]


def installed(settings: Settings) -> list[Installed]:
    """Of every configured ledger."""
    found: list[tuple[str, URL, Revisions]] = []
    if settings.atto is not None:
        found.append(("atto", settings.atto.database, ATTO))
    if settings.hathor is not None:
        found.append(("hathor", settings.hathor.database, HATHOR))
    if settings.bittensor is not None:
        found.append(("bittensor", settings.bittensor.database, BITTENSOR))
    return [Installed(ledger=ledger, url=url, revisions=(revisions,)) for ledger, url, revisions in found]


@asynccontextmanager
async def looking(one: Installed) -> AsyncIterator[Database]:
    """The database, opened for reading alone."""
    database = Database(one.url, pool_size=2, read_only=True)
    try:
        yield database
    finally:
        await database.close()


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
    """Where the database is. Raises as `require_current`, with the driver's words where there are some."""
    async with looking(one) as database:
        try:
            await require_current(database, one.revisions)
        except Unavailable as error:
            raise Unavailable(
                f"The database {shown(database)} cannot be used: {error.__cause__ or error}"
            ) from error
        return shown(database)
