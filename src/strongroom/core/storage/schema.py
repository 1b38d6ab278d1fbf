"""Reads a database's schema without changing it: its version, the missing revisions, the plan of a migration, the sizes."""

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
from strongroom.core.revisions import Revisions
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import DatabaseUnusable
from strongroom.core.storage.resume import resumable

CHANGING = ("ALTER", "CREATE", "DELETE", "DROP", "INSERT", "RENAME", "REPLACE", "TRUNCATE", "UPDATE")
NOTHING = {"sqlite": "SELECT 1 WHERE 1 = 0", "mysql": "DO 0"}
GIVEN_BACK = "given_back"
"""Stands where the core's version did, in a database that is given back to its original. Every version of ours refuses it."""
LARGE_ROWS = 1_000_000
LARGE_BYTES = 1 << 30


class SchemaUnfit(StrongroomError):
    """This version can neither use nor migrate the schema; waiting does not help."""

    code = "schema_unfit"


TRANSFER = "strongroom_transfer"
"""The table of a database that is being filled with the content of another one (`core.storage.transfer`)."""
CORE = Revisions(component="core", folder=Path(__file__).parent / "revisions")


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaState:
    """A component's version. `current` is None if it has no tables yet. `pending` are the missing revisions, in order."""

    component: str
    current: str | None
    pending: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSize:
    """A table's size. `rows` is an estimate; `size` is in bytes, or None if the database does not report it."""

    name: str
    rows: int
    size: int | None

    @property
    def is_large(self) -> bool:
        return self.rows >= LARGE_ROWS or (self.size or 0) >= LARGE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One revision and its statements. If `is_whole` is false, later statements depend on the effect of these ones."""

    revision: str
    statements: tuple[str, ...]
    notes: tuple[str, ...]
    """Explanations from the revision's own function `plan`, which only reads."""
    is_whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    states: tuple[SchemaState, ...]
    steps: tuple[Step, ...]
    sizes: tuple[TableSize, ...]


def require_whole(connection: Connection) -> None:
    """Makes sure that no copy into this database was left half done.

    Raises:
        SchemaUnfit: one was.
    """
    if inspect(connection).has_table(TRANSFER):
        raise SchemaUnfit(
            "The database is a copy that is not complete, and some of its rows are missing. Run the same `strongroom copy` or"
            " `strongroom restore` again, which continues it, or drop the database",
            code="copy_incomplete",
        )


def read_states(connection: Connection, components: Sequence[Revisions]) -> list[SchemaState]:
    """The versions of all components, the core's first. Raises as `require_whole` and `read_state`."""
    require_whole(connection)
    return [read_state(connection, component) for component in (CORE, *components)]


def read_state(connection: Connection, component: Revisions) -> SchemaState:
    """Reads a component's version.

    Raises:
        SchemaUnfit: a newer version, or another program, wrote the schema.
    """
    current = _read_version(connection, component)
    script = component.script
    known = [each.revision for each in script.walk_revisions()][::-1]
    if current == GIVEN_BACK:
        raise SchemaUnfit(
            "The database is being given back to the original: end that with `strongroom adopt LEDGER --revert`"
        )
    if current is not None and current not in known:
        raise SchemaUnfit(
            f"The database's schema is newer than this version of Strongroom: revision {current} of {component.component}"
            f" is not known here, {known[-1]} is the last one. Run the version that wrote it, or restore the backup"
            " from before the upgrade"
        )
    pending = known if current is None else known[known.index(current) + 1 :]
    return SchemaState(component=component.component, current=current, pending=tuple(pending))


def table_sizes(connection: Connection) -> list[TableSize]:
    """The sizes of all tables, largest first."""
    found = _sqlite_sizes(connection) if connection.dialect.name == "sqlite" else _mysql_sizes(connection)
    return sorted(found, key=lambda each: (each.size or 0, each.rows), reverse=True)


def large_tables(connection: Connection) -> list[str]:
    return [f"{each.name} (about {each.rows} rows)" for each in table_sizes(connection) if each.is_large]


async def require_current(database: Database, components: Sequence[Revisions]) -> None:
    """Makes sure that the schema is up to date; changes nothing.

    Raises:
        NotFound: there is no database, or it has none of our tables.
        SchemaUnfit: a revision is missing, or the schema is newer.
    """
    require_file(database)
    states = await database.read(lambda connection: read_states(connection, components))
    if all(state.current is None for state in states):
        raise NotFound(
            f"The database {shown(database)} has no tables of Strongroom: if it is the right one, `strongroom migrate`"
            " creates them (--dry-run shows what it does), and so does `strongroom serve`"
        )
    pending = [revision for state in states for revision in state.pending]
    if pending:
        raise SchemaUnfit(
            f"The schema of {shown(database)} lacks {', '.join(pending)}: run `strongroom migrate`"
            " (--dry-run shows what it does)"
        )


def require_file(database: Database) -> None:
    """Makes sure that an SQLite file exists, because opening it would create it.

    Raises:
        NotFound: it does not exist.
    """
    if not _exists(database):
        raise NotFound(
            f"There is no database {shown(database)}: if STRONGROOM_DATA is right, `strongroom serve` creates it"
        )


async def plan(database: Database, components: Sequence[Revisions]) -> Plan:
    """What a migration would do. It changes nothing and creates no file.

    Raises:
        SchemaUnfit: as `read_state`.
    """
    if not _exists(database):
        # For a database in memory the statements are really run, so that the plan is complete.
        engine = create_engine("sqlite://")
        try:
            with engine.begin() as connection:
                return _plan(connection, components, dry=False)
        finally:
            engine.dispose()
    async with one_at_a_time():
        return await database.read(lambda connection: _plan(connection, components, dry=True))


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


def one_at_a_time() -> asyncio.Lock:
    """The lock under which one migration at a time runs in this process.

    Revisions use `alembic.op`, which is global: ledgers that migrate at the same time would run their statements on each
    other's databases.
    """
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())


def shown(database: Database) -> str:
    """The database's URL without its password."""
    return database.url.render_as_string(hide_password=True)


def _exists(database: Database) -> bool:
    return not database.is_sqlite or Path(database.url.database or "").exists()


def _plan(connection: Connection, components: Sequence[Revisions], *, dry: bool) -> Plan:
    require_whole(connection)
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
    with resumable(connection), _recorded(connection, dry=dry) as statements, context:
        try:
            notes = module.plan(connection) if hasattr(module, "plan") else []
            module.upgrade()
        except (NoSuchTableError, DatabaseUnusable):
            is_whole = False  # it reads a table that this or an earlier revision would have created
    return Step(revision=revision, statements=tuple(statements), notes=tuple(notes), is_whole=is_whole)


@contextmanager
def _recorded(connection: Connection, *, dry: bool) -> Iterator[list[str]]:
    """Records the statements that change something. With `dry` they are replaced by statements that do nothing."""
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
            raise AssertionError(
                "A revision sends a statement straight to the driver, where a dry run cannot stop it"
            )

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
    """The largest row id, as an estimate: a count would read the whole table."""
    quoted = connection.dialect.identifier_preparer.quote(name)
    return connection.scalar(text(f"SELECT MAX(rowid) FROM {quoted}")) or 0  # noqa: S608 - a table's quoted name


def _sqlite_size(connection: Connection, name: str) -> int | None:
    """The table's size in bytes; None if this SQLite was built without `dbstat`."""
    try:
        size: int | None = connection.scalar(
            text("SELECT SUM(pgsize) FROM dbstat WHERE name = :name AND aggregate = TRUE"), {"name": name}
        )
    except (DatabaseUnusable, OperationalError):
        return None
    return size
