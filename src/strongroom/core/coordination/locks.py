"""Locks that hold on several database nodes, because they are written.

A row that is only read (`SELECT ... FOR UPDATE`) is locked on one node of a Galera cluster or of Group Replication: another node
learns nothing of it. What the nodes compare at a commit are the rows that a transaction changed. Of two transactions that change
one row, the one that comes second is undone and runs again, on whatever nodes they are. So `take` changes a row, a counter:
an UPDATE that sets what is there already does not count as a change.

docs/decisions/locks.md lists what relies on which row.
"""

import zlib

from sqlalchemy import Connection, literal_column
from sqlalchemy.dialects import mysql

from strongroom.core.storage import tables
from strongroom.core.storage.statements import Statement, arg, execute

STRIPES = 256
_TAKE = Statement(
    mysql.insert(tables.lock)
    .values(name=arg("name"), taken=1)
    .on_duplicate_key_update(taken=tables.lock.c.taken + literal_column("1")),
    "name",
)


def take(connection: Connection, name: str) -> None:
    """Lets one transaction at a time go on from here to its commit, among those that take the lock `name`.

    On SQLite there is one writer, so that nothing has to be written.
    """
    if connection.dialect.name != "sqlite":
        execute(connection, _TAKE, name)


def take_one_of(connection: Connection, kind: str, key: bytes) -> None:
    """`take`, for one of many things of a kind. A few of them share a lock, so that there are at most 256 rows of a kind.

    A transaction takes at most one of each kind: two in another order would wait for each other.
    """
    take(connection, f"{kind}:{zlib.crc32(key) % STRIPES}")
