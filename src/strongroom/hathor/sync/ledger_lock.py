"""One writer at a time for everything that follows from the chain."""

from sqlalchemy import Connection, select

from strongroom.core.database import locking
from strongroom.hathor import tables

NO_EVENT = -1


def lock_ledger(connection: Connection) -> int:
    """Waits for the other writer of derived rows (sync, loading, repair), and holds off the next until the commit.

    Returns the id of the last event applied, or -1.
    """
    column = tables.sync_metadata.c.last_event_id
    row = connection.execute(locking(select(column).where(tables.sync_metadata.c.id == 0))).first()
    if row is None:
        connection.execute(
            tables.sync_metadata.insert(), {"id": 0, "last_event_id": NO_EVENT, "updated_at": "0"}
        )
        return NO_EVENT
    return int(row.last_event_id)
