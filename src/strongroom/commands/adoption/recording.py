"""The rows of the audit trail that say who took a database over, and who gave it back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import Connection, select

from strongroom.commands.adoption.target import Target
from strongroom.core.ledger.contract import Ledger
from strongroom.core.storage.adoption.record import ADOPTED, Record, set_state
from strongroom.core.storage.tables import audit

RETURN = "database.return"


async def record_adoption(target: Target, record: Record) -> None:
    """The row and the end of the takeover are committed together, so that a run that was killed writes the row later.

    Raises:
        Unavailable: the trail's secret cannot be opened.
    """

    def work(connection: Connection) -> None:
        set_state(connection, record, ADOPTED)
        details = {"original": target.original.title, "version": record.version}
        running.audit.append(connection, target.by, "database.adopt", _name(target), details)

    async with _trail(target) as running:
        await running.database.write(work)


async def record_return(target: Target, record: Record) -> None:
    """The row goes with the trail into the file of the tables that go. Raises as `record_adoption`.

    If a run ended before it gave the database back, and nothing has happened since, its row is this one's too.
    """
    newest = select(audit.c.action, audit.c.principal).order_by(audit.c.sequence.desc()).limit(1)

    def work(connection: Connection) -> None:
        if connection.execute(newest).first() == (RETURN, target.by.name):
            return
        details = {"original": target.original.title, "version": record.version}
        running.audit.append(connection, target.by, RETURN, _name(target), details)

    async with _trail(target) as running:
        await running.database.write(work)


def _name(target: Target) -> str:
    return str(target.installed.url.database)


@asynccontextmanager
async def _trail(target: Target) -> AsyncIterator[Ledger]:
    """The ledger with its trail open, on the schema as it is."""
    running: Ledger = target.definition.make(target.settings, target.surroundings)
    try:
        await running.open_trail()
        yield running
    finally:
        await running.close()
