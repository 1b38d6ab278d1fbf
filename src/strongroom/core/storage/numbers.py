"""The meanings of databases' error numbers.

Sources: the error lists of MySQL 8.4, MariaDB 11 and TiDB, ProxySQL's numbers 9001 to 9006, and SQLite's result codes.
"""

import enum
import sqlite3


class Meaning(enum.Enum):
    """The meaning of an error, as `core.storage.errors` explains."""

    PASSING = enum.auto()
    AWAY = enum.auto()
    UNUSABLE = enum.auto()
    DUPLICATE = enum.auto()
    UNFIT = enum.auto()
    REFUSED = enum.auto()


LOCK_WAIT = 1205
DEADLOCK = 1213
NOT_READY = 1047

UNDONE_BY_SERVER = frozenset(
    {
        1020,  # the row changed since it was read (MariaDB's snapshot isolation)
        DEADLOCK,  # also Galera: another node's transaction came first
        3101,  # Group Replication: another member's transaction came first
        8002,  # TiDB: a conflict that it cannot try again by itself
        8005,  # TiDB: a write conflict
        8022,  # TiDB: the commit failed and was undone
        9007,  # TiDB: a write conflict
    }
)
"""Also as the answer to a COMMIT, each of these numbers proves that nothing was committed."""

WAITED = frozenset(
    {
        LOCK_WAIT,
        1969,  # MariaDB: the statement took too long
        3024,  # MySQL: the same
        sqlite3.SQLITE_BUSY,
    }
)
"""The server waited before it gave up. Another try would take longer than any caller waits."""

_PASSING = UNDONE_BY_SERVER | {
    LOCK_WAIT,
    1206,  # more locks than the server has room for
    1317,  # the query was interrupted
    1412,  # the table's definition changed under the transaction
    1613,  # deadlock or timeout of a branch
    1614,
    1637,  # too many transactions at once
    1969,
    3024,
    3058,  # a deadlock of user locks
    3132,
    3572,  # a lock that would have to be waited for
    8028,  # TiDB: the schema changed under the transaction
    8229,  # TiDB: the transaction lived too long
}

# The server's numbers below 2000. A number from 2000 on is AWAY unless it is listed in another set.
_AWAY = frozenset(
    {
        1040,  # too many connections
        1042,
        1043,
        NOT_READY,  # Galera: this node has no quorum, or is not yet in the cluster
        1053,  # it shuts down
        1077,
        1078,
        1079,
        1080,
        1105,  # unknown: what proxies say when they reach no server
        1129,  # too many errors from this host
        1135,  # no thread for the connection
        1152,
        1158,
        1159,
        1160,
        1161,
        1180,  # Galera: the node left the cluster during a commit
        1181,
        1184,
        1189,
        1190,
        1203,  # too many connections of this user
        1218,
        1223,  # a read lock, for a backup
        1226,  # this user's share is used up
        1290,  # read-only, after a failover
        1296,
        1297,
        1792,
        1815,
        1836,
        1927,  # the connection was killed
    }
)

_UNUSABLE = frozenset(
    {
        # No space, no memory, a broken disk or table.
        1002,
        1003,
        1004,
        1005,
        1006,
        1014,
        1016,
        1021,  # disk full
        1023,
        1024,
        1026,  # a file cannot be written
        1030,  # the storage engine says a number of its own, 28 for a full disk
        1034,
        1035,
        1036,  # the table can only be read
        1037,
        1038,
        1041,
        1114,  # the table is full
        1119,
        1194,
        1195,
        1197,
        1534,
        1598,  # the binary log cannot be written
        1712,
        1713,
        1812,
        1813,
        1814,
        1877,
        1932,
        3186,
        # No right, no database, no table, an account that is locked or whose password has expired.
        1044,
        1045,
        1049,
        1054,
        1130,
        1142,
        1143,
        1146,
        1227,
        1251,
        1370,
        1524,
        1698,
        1820,
        1862,
        1956,
        3118,
        3159,
        3955,
        4151,
        2059,
        2061,
    }
)

_DUPLICATE = frozenset({1022, 1062, 1169, 1557, 1586})
_UNFIT = frozenset({1074, 1153, 1162, 1264, 1265, 1292, 1300, 1366, 1406, 1690, 1977, 3854})
_REFUSED_ABOVE = frozenset(
    {
        # The numbers from 2000 on that are about the statement: generated columns, JSON, checks, roles.
        *range(3000, 3024),
        *range(3102, 3118),
        *range(3140, 3159),
        *range(3500, 3530),
        3730,
        3734,
        *range(3776, 3790),
        *range(3812, 3830),
        4025,  # MariaDB: a CHECK
        4078,
        *range(4100, 4110),
    }
)
FIRST_OUTSIDE_SERVER = 2000
"""From here on the numbers are the client library's, and above those the ones of newer servers, TiDB and proxies."""

_MYSQL: dict[int, Meaning] = {
    **dict.fromkeys(_REFUSED_ABOVE, Meaning.REFUSED),
    **dict.fromkeys(_PASSING, Meaning.PASSING),
    **dict.fromkeys(_AWAY, Meaning.AWAY),
    **dict.fromkeys(_UNUSABLE, Meaning.UNUSABLE),
    **dict.fromkeys(_DUPLICATE, Meaning.DUPLICATE),
    **dict.fromkeys(_UNFIT, Meaning.UNFIT),
}
PASSING_NUMBERS = tuple(sorted(_PASSING))
AWAY_NUMBERS = tuple(sorted(_AWAY))
UNUSABLE_NUMBERS = tuple(sorted(_UNUSABLE))


def mysql_meaning(number: int, sqlstate: str | None = None) -> Meaning:
    """The meaning of a number. An unknown number is judged by its SQLSTATE and by its range."""
    known = _MYSQL.get(number)
    if known is not None:
        return known
    if sqlstate in {"40000", "40001"}:
        return Meaning.PASSING
    if sqlstate is not None and sqlstate.startswith("08"):
        return Meaning.AWAY
    return Meaning.REFUSED if 0 < number < FIRST_OUTSIDE_SERVER else Meaning.AWAY


UNSYNCED = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})
"""After a COMMIT: the data is in the file but perhaps not on the disk, so a crash may keep it or lose it."""

_SQLITE: dict[int, Meaning] = {
    sqlite3.SQLITE_BUSY: Meaning.PASSING,
    sqlite3.SQLITE_LOCKED: Meaning.PASSING,
    sqlite3.SQLITE_PROTOCOL: Meaning.PASSING,
    sqlite3.SQLITE_SCHEMA: Meaning.PASSING,
    sqlite3.SQLITE_ABORT: Meaning.PASSING,
    sqlite3.SQLITE_INTERRUPT: Meaning.PASSING,
    sqlite3.SQLITE_PERM: Meaning.UNUSABLE,
    sqlite3.SQLITE_AUTH: Meaning.UNUSABLE,
    sqlite3.SQLITE_NOMEM: Meaning.UNUSABLE,
    sqlite3.SQLITE_READONLY: Meaning.UNUSABLE,
    sqlite3.SQLITE_IOERR: Meaning.UNUSABLE,
    sqlite3.SQLITE_CORRUPT: Meaning.UNUSABLE,
    sqlite3.SQLITE_FULL: Meaning.UNUSABLE,
    sqlite3.SQLITE_CANTOPEN: Meaning.UNUSABLE,
    sqlite3.SQLITE_NOTADB: Meaning.UNUSABLE,
    sqlite3.SQLITE_NOLFS: Meaning.UNUSABLE,
    sqlite3.SQLITE_TOOBIG: Meaning.UNFIT,
    sqlite3.SQLITE_MISMATCH: Meaning.UNFIT,
    sqlite3.SQLITE_CONSTRAINT: Meaning.REFUSED,
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: Meaning.DUPLICATE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: Meaning.DUPLICATE,
    sqlite3.SQLITE_CONSTRAINT_ROWID: Meaning.DUPLICATE,
}
_PRIMARY = 0xFF
_NO_TABLE = ("no such table", "no such column")


def sqlite_meaning(number: int, text: str) -> Meaning:
    """The meaning of an extended code, or else of its primary code. Only the text shows that a table is missing."""
    known = _SQLITE.get(number) or _SQLITE.get(number & _PRIMARY)
    if known is not None:
        return known
    is_schema = number == sqlite3.SQLITE_ERROR and any(words in text for words in _NO_TABLE)
    return Meaning.UNUSABLE if is_schema else Meaning.REFUSED
