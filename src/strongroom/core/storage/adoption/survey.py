"""Looks at an original's database before it is taken over, and changes nothing."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, inspect, text

from strongroom.core.storage.adoption.definitions import is_ours, table_names
from strongroom.core.storage.adoption.original import Original
from strongroom.core.storage.schema import Step, TableSize, table_sizes

OLDEST = {"MariaDB": (10, 5), "MySQL": (8, 0)}
RIGHTS = ("ALTER", "CREATE", "DELETE", "DROP", "INDEX", "INSERT", "SELECT", "UPDATE")
REWRITTEN_BYTES_S = 12 << 20
INDEXED_BYTES_S = 25 << 20
"""Half of what `benchmarks/adoption.py` measured, so that larger tables and slower disks fit: 24 MiB a second rewritten (latin1 into
utf8mb4 37), 52 indexed. That was a durable MariaDB 10.11 with a buffer pool of 64 MiB and a table of 105 MiB, on two shared cores of an
AMD EPYC with a virtual disk (ext4)."""
_ALTER = re.compile(r"ALTER TABLE `?(\w+)`?", re.IGNORECASE)
_INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX \S+ ON `?(\w+)`?", re.IGNORECASE)
_GRANT = re.compile(r"GRANT (?P<what>.+) ON (?P<where>\S+) TO ", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    engine: str
    original: str
    """The original's version."""
    sizes: tuple[TableSize, ...]
    obstacles: tuple[str, ...]


def survey(connection: Connection, original: Original) -> Survey:
    """What is there, and what speaks against taking it over."""
    engine, number = _engine(connection)
    version, obstacles = "unknown", [*_server_obstacles(connection, engine, number)]
    if not inspect(connection).has_table(original.history):
        obstacles.append(
            f"there is no table {original.history}: this is not a database of the {original.title}. An empty database needs"
            " no adoption: `strongroom serve` creates its tables"
        )
    else:
        found = original.version(connection)
        version = found.name
        obstacles += [found.problem] if found.problem else _lacking(connection, original)
    obstacles += connected(connection)
    return Survey(
        engine=f"{engine} {number}",
        original=version,
        sizes=tuple(size for size in table_sizes(connection) if not is_ours(size.name)),
        obstacles=tuple(obstacles),
    )


def expected_s(steps: Iterable[Step], sizes: Iterable[TableSize]) -> int:
    """How long the statements take, in seconds: each that rewrites or indexes a table reads all of it."""
    size_of = {one.name: one.size or 0 for one in sizes}
    seconds = 0.0
    for statement in (statement for step in steps for statement in step.statements):
        for pattern, rate in ((_ALTER, REWRITTEN_BYTES_S), (_INDEX, INDEXED_BYTES_S)):
            if found := pattern.match(statement):
                seconds += size_of.get(found[1], 0) / rate
    return round(seconds)


def connected(connection: Connection) -> list[str]:
    """Who else uses the database. A user without the right PROCESS sees only connections of the same name."""
    rows = connection.execute(
        text(
            "SELECT USER, SUBSTRING_INDEX(HOST, ':', 1) AS place, COUNT(*) AS many FROM information_schema.PROCESSLIST"
            " WHERE DB = DATABASE() AND ID <> CONNECTION_ID() GROUP BY USER, place ORDER BY many DESC"
        )
    ).all()
    if not rows:
        return []
    shown = ", ".join(f"{row.USER}@{row.place} ({row.many})" for row in rows)
    return [f"other connections use this database: {shown}. Stop the programs behind them"]


def _engine(connection: Connection) -> tuple[str, str]:
    number = str(connection.scalar(text("SELECT VERSION()")))
    name = "MariaDB" if "mariadb" in number.lower() else "MySQL"
    found = re.search(r"(\d+\.\d+\.\d+)-MariaDB", number) or re.match(r"(\d+\.\d+(?:\.\d+)?)", number)
    return name, found[1] if found else number


def _server_obstacles(connection: Connection, engine: str, number: str) -> Iterable[str]:
    if tuple(int(part) for part in number.split(".")[:2] if part.isdigit()) < OLDEST[engine]:
        oldest = ".".join(map(str, OLDEST[engine]))
        yield f"the server is {engine} {number}, and {oldest} is the oldest that this service works with"
    row = connection.execute(text("SELECT @@log_bin, @@binlog_format, @@read_only")).one()
    if int(row[0]) and str(row[1]).upper() == "STATEMENT":
        yield (
            "binlog_format is STATEMENT, and the service writes at isolation READ COMMITTED, which this format refuses:"
            " set it to ROW or MIXED"
        )
    if str(row[2]).upper() not in {"0", "OFF"}:
        yield "the server is read-only: it is a replica, or its operator has locked it"
    engines = connection.execute(
        text(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
            " AND TABLE_TYPE = 'BASE TABLE' AND ENGINE <> 'InnoDB' ORDER BY TABLE_NAME"
        )
    ).scalars()
    if names := ", ".join(map(str, engines)):
        yield f"not in InnoDB, so without transactions: {names}"
    lacking = lacking_rights(
        [str(grant) for grant in connection.execute(text("SHOW GRANTS")).scalars()],
        str(connection.scalar(text("SELECT DATABASE()"))),
    )
    if lacking:
        yield f"the database's user lacks the rights {', '.join(lacking)}"


def lacking_rights(grants: Sequence[str], database: str) -> list[str]:
    """The rights that are missing for the database. Nothing is said where a role may bring them."""
    held = set[str]()
    for grant in grants:
        found = _GRANT.match(grant)
        if found is None:
            return []
        if _covers(found["where"], database):
            held |= {what.strip().upper() for what in found["what"].split(",")}
    if held & {"ALL PRIVILEGES", "ALL"}:
        return []
    return [right for right in RIGHTS if right not in held]


def _covers(where: str, database: str) -> bool:
    """Whether a grant's `db`.* is for the database; `_` and `%` are wildcards unless a backslash stands before them."""
    name, _, table = where.rpartition(".")
    if table != "*":
        return False
    if name == "*":
        return True
    parts = re.findall(r"\\.|.", name.strip("`"))
    wild = {"%": ".*", "_": "."}
    pattern = "".join(wild.get(part) or re.escape(part.removeprefix("\\")) for part in parts)
    return re.fullmatch(pattern, database) is not None


def _lacking(connection: Connection, original: Original) -> list[str]:
    """Columns that the service uses, and that an older version of the original has not made yet."""
    there = set(table_names(connection))
    inspector = inspect(connection)
    lacking = []
    for table in original.tables.sorted_tables:
        if is_ours(table.name) or table.name not in there:
            continue
        columns = {column["name"] for column in inspector.get_columns(table.name)}
        lacking += [f"{table.name}.{name}" for name in table.columns.keys() if name not in columns]  # noqa: SIM118
    if not lacking:
        return []
    words = (
        f"this version of the {original.title} is too old: {', '.join(lacking)} is missing. Run the original's own"
        " migrations of its newest version first"
    )
    return [words]
