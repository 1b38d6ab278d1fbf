"""How far a database's schema is, without changing it: what is missing, what a migration would do, how large it is."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import DDL, Connection, String, create_engine, event, inspect, select, text
from sqlalchemy.exc import NoSuchTableError, OperationalError
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql import column, table

from strongroom.core.errors import NotFound, StrongroomError
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import DatabaseUnusable

CHANGING = ("ALTER", "CREATE", "DELETE", "DROP", "INSERT", "RENAME", "REPLACE", "TRUNCATE", "UPDATE")
NOTHING = {"sqlite": "SELECT 1 WHERE 1 = 0", "mysql": "DO 0"}
LARGE_ROWS = 1_000_000
LARGE_BYTES = 1 << 30


class SchemaUnfit(StrongroomError):
    """The schema is not one that this version can use, nor bring up to date. To wait does not help."""

    code = "schema_unfit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revisions:
    """One component's migrations: `folder` holds the revision files."""

    component: str
    folder: Path

    @property
    def version_table(self) -> str:
        return f"strongroom_version_{self.component}"

    @property
    def script(self) -> ScriptDirectory:
        return ScriptDirectory(str(self.folder), version_locations=[str(self.folder)])


CORE = Revisions(component="core", folder=Path(__file__).parent / "revisions")


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaState:
    """`current` None: the component has no tables yet. `pending`: what is missing, the next first."""

    component: str
    current: str | None
    pending: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSize:
    """`rows` is an estimate; `size` in bytes, None where the database does not tell."""

    name: str
    rows: int
    size: int | None

    @property
    def is_large(self) -> bool:
        return self.rows >= LARGE_ROWS or (self.size or 0) >= LARGE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One revision and its statements. Not `is_whole`: the rest depends on what the statements before it make."""

    revision: str
    statements: tuple[str, ...]
    notes: tuple[str, ...]
    """What the revision says of itself, by a function `plan` that only reads."""
    is_whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    states: tuple[SchemaState, ...]
    steps: tuple[Step, ...]
    sizes: tuple[TableSize, ...]


def read_state(connection: Connection, component: Revisions) -> SchemaState:
    """Raises: SchemaUnfit: the database was written by a newer version, or by something else."""
    current = _read_version(connection, component)
    script = component.script
    known = [each.revision for each in script.walk_revisions()][::-1]
    if current is not None and current not in known:
        raise SchemaUnfit(
            f"The database's schema is newer than this version of Strongroom: revision {current} of {component.component}"
            f" is not known here, {known[-1]} is the last one. Run the version that wrote it, or restore the backup"
            " from before the upgrade"
        )
    pending = known if current is None else known[known.index(current) + 1 :]
    return SchemaState(component=component.component, current=current, pending=tuple(pending))


def table_sizes(connection: Connection) -> list[TableSize]:
    """The largest first."""
    found = _sqlite_sizes(connection) if connection.dialect.name == "sqlite" else _mysql_sizes(connection)
    return sorted(found, key=lambda each: (each.size or 0, each.rows), reverse=True)


def large_tables(connection: Connection) -> list[str]:
    return [f"{each.name} (about {each.rows} rows)" for each in table_sizes(connection) if each.is_large]


async def require_current(database: Database, components: Sequence[Revisions]) -> None:
    """Looks only.

    Raises:
        NotFound: there is no database, or none of our tables in it.
        SchemaUnfit: a migration is missing, or the schema is newer.
    """
    require_file(database)
    states = await database.read(lambda c: [read_state(c, each) for each in (CORE, *components)])
    if all(state.current is None for state in states):
        raise NotFound(
            f"The database {shown(database)} has no tables of Strongroom: if it is the right one, `strongroom migrate`"
            " makes them (--dry-run shows what it does), and so does `strongroom serve`"
        )
    pending = [revision for state in states for revision in state.pending]
    if pending:
        raise SchemaUnfit(
            f"The schema of {shown(database)} lacks {', '.join(pending)}: run `strongroom migrate`"
            " (--dry-run shows what it does)"
        )


def require_file(database: Database) -> None:
    """Raises: NotFound: SQLite would make the file."""
    if not _is_there(database):
        raise NotFound(
            f"There is no database {shown(database)}: if STRONGROOM_DATA is right, `strongroom serve` makes it"
        )


async def plan(database: Database, components: Sequence[Revisions]) -> Plan:
    """What a migration would do. Nothing is changed, and no file is made.

    Raises:
        SchemaUnfit: as `read_state`.
    """
    if not _is_there(database):
        engine = create_engine(
            "sqlite://"
        )  # in memory: there the statements may be run, and every one is known
        try:
            with engine.begin() as connection:
                return _plan(connection, components, dry=False)
        finally:
            engine.dispose()
    async with one_at_a_time():
        return await database.read(lambda connection: _plan(connection, components, dry=True))


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


def one_at_a_time() -> asyncio.Lock:
    """The turn of this process: revisions speak to the database through `alembic.op`, of which there is one.

    Ledgers that start at once would run each other's statements on each other's databases.
    """
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())


def shown(database: Database) -> str:
    """Where a database is, without its password."""
    return database.url.render_as_string(hide_password=True)


def _is_there(database: Database) -> bool:
    return not database.is_sqlite or Path(database.url.database or "").exists()


def _plan(connection: Connection, components: Sequence[Revisions], *, dry: bool) -> Plan:
    states: list[SchemaState] = []
    steps: list[Step] = []
    for component in (CORE, *components):
        state = read_state(connection, component)
        states.append(state)
        script = component.script
        steps += [_step(connection, script, revision, dry=dry) for revision in state.pending]
    return Plan(states=tuple(states), steps=tuple(steps), sizes=tuple(table_sizes(connection) if dry else ()))


def _step(connection: Connection, script: ScriptDirectory, revision: str, *, dry: bool) -> Step:
    module = script.get_revision(revision).module
    is_whole, notes = True, list[str]()
    context = Operations.context(MigrationContext.configure(connection))
    with _recorded(connection, dry=dry) as statements, context:
        try:
            notes = module.plan(connection) if hasattr(module, "plan") else []
            module.upgrade()
        except (NoSuchTableError, DatabaseUnusable):
            is_whole = False  # it looks at what it, or a revision before it, would have made
    return Step(revision=revision, statements=tuple(statements), notes=tuple(notes), is_whole=is_whole)


@contextmanager
def _recorded(connection: Connection, *, dry: bool) -> Iterator[list[str]]:
    """Notes the statements that change something; `dry`: they are not run."""
    statements: list[str] = []

    def note(
        _connection: Connection, element: Any, multi: Any, single: Any, _options: object
    ) -> tuple[Any, Any, Any]:
        statement = _text(connection, element)
        if not statement.lstrip().upper().startswith(CHANGING):
            return element, multi, single
        statements.append(" ".join(statement.split()))
        if not dry:
            return element, multi, single
        nothing = NOTHING["sqlite" if connection.dialect.name == "sqlite" else "mysql"]
        if isinstance(element, str):
            return nothing, [], {}
        is_ddl = isinstance(element, ExecutableDDLElement)
        return DDL(nothing) if is_ddl else text(nothing), [], {}  # type: ignore[no-untyped-call]

    def refuse(_connection: Connection, _cursor: Any, statement: str, *_more: Any) -> None:
        if dry and statement.lstrip().upper().startswith(CHANGING):
            raise AssertionError("A revision passes a statement to the driver, where it cannot be held back")

    event.listen(connection, "before_execute", note, retval=True)
    event.listen(connection, "before_cursor_execute", refuse)
    try:
        yield statements
    finally:
        event.remove(connection, "before_execute", note)
        event.remove(connection, "before_cursor_execute", refuse)


def _text(connection: Connection, element: Any) -> str:
    return element if isinstance(element, str) else str(element.compile(dialect=connection.dialect))


def _read_version(connection: Connection, component: Revisions) -> str | None:
    name = component.version_table
    if not inspect(connection).has_table(name):
        return None
    query = select(column("version_num", String)).select_from(table(name))
    rows = connection.execute(query).scalars().all()
    return " and ".join(sorted(rows)) if rows else None


def _mysql_sizes(connection: Connection) -> list[TableSize]:
    found: Sequence[Any] = connection.execute(
        text(
            "SELECT table_name, table_rows, data_length + index_length FROM information_schema.tables"
            " WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'"
        )
    ).all()
    return [TableSize(name=str(name), rows=int(rows or 0), size=int(size or 0)) for name, rows, size in found]


def _sqlite_sizes(connection: Connection) -> list[TableSize]:
    names = connection.execute(
        text("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    ).scalars()
    return [
        TableSize(name=name, rows=_sqlite_rows(connection, name), size=_sqlite_size(connection, name))
        for name in names.all()
    ]


def _sqlite_rows(connection: Connection, name: str) -> int:
    """The largest row id: a count would read the whole table."""
    quoted = connection.dialect.identifier_preparer.quote(name)
    return connection.scalar(text(f"SELECT MAX(rowid) FROM {quoted}")) or 0  # noqa: S608 - a table's quoted name


def _sqlite_size(connection: Connection, name: str) -> int | None:
    """None: this SQLite was built without the table of sizes."""
    try:
        size: int | None = connection.scalar(
            text("SELECT SUM(pgsize) FROM dbstat WHERE name = :name AND aggregate = TRUE"), {"name": name}
        )
    except (DatabaseUnusable, OperationalError):
        return None
    return size
