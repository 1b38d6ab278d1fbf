"""The lock that lets one process at a time write what follows from the chain."""

from sqlalchemy import Connection, select

from strongroom.core.coordination.locks import take
from strongroom.core.storage.database import insert_ignore, locking
from strongroom.hathor import tables

NO_EVENT = -1
LOCK = "hathor:ledger"


def lock_ledger(connection: Connection) -> int:
    """Waits for the other writer of derived rows (sync, loading, repair), and holds off the next until the commit.

    Returns the id of the last event applied, or -1.
    """
    take(connection, LOCK)
    query = locking(select(tables.sync_metadata.c.last_event_id).where(tables.sync_metadata.c.id == 0))
    row = connection.execute(query).first()
    if row is None:
        first = {"id": 0, "last_event_id": NO_EVENT, "updated_at": "0"}
        insert_ignore(connection, tables.sync_metadata, [first])
        row = connection.execute(query).one()
    return int(row.last_event_id)
