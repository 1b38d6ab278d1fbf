"""Gives a database back to its original: what this service added goes, what it changed is put back, the rows stay.

All steps are found by comparing the tables with the record, so that a run that was killed is simply run again. From the first
step on no version of ours opens the database.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import Connection, text

from strongroom.core.errors import NotFound
from strongroom.core.storage.adoption.definitions import (
    Definition,
    as_text,
    changed_columns,
    is_ours,
    quoted,
    read_definition,
    table_names,
    table_statement,
    way_back,
    whole_numbers,
)
from strongroom.core.storage.adoption.original import Original
from strongroom.core.storage.adoption.record import (
    RECORD,
    RETURNING,
    Record,
    count_rows,
    read_record,
    require_ledger,
    set_state,
)
from strongroom.core.storage.adoption.survey import connected
from strongroom.core.storage.migrations import only_one
from strongroom.core.storage.schema import CORE, GIVEN_BACK

MIGRATION_LEASE = "migration"


@dataclass(frozen=True, slots=True, kw_only=True)
class WayBack:
    """What giving the database back would do."""

    record: Record
    statements: tuple[str, ...]
    staying: Mapping[str, str]
    """Columns that stay as this service made them, each with the reason."""
    lost: Mapping[str, int]
    """The tables that go and have rows, with their number."""
    obstacles: tuple[str, ...]


def plan_return(connection: Connection, ledger: str, original: Original, now_ms: int) -> WayBack:
    """Only reads.

    Raises:
        NotFound: there is no record, so that nobody knows how the database was.
        Conflict: the record is another ledger's.
    """
    record = require_record(connection, ledger)
    there = table_names(connection)
    statements: list[str] = []
    staying: dict[str, str] = {}
    obstacles = [
        f"the table {name} is gone, which was there before" for name in record.statements if name not in there
    ]
    for name in record.statements:
        if name in there:
            wanted, found = record.definition(name), read_definition(table_statement(connection, name))
            stays = _staying(connection, name, wanted, found)
            staying |= {f"{name}.{column}": why for column, why in stays.items()}
            statement = way_back(name, wanted, found, staying=stays)
            statements += [statement] if statement else []
    going = _going(there, record, original)
    obstacles += [*connected(connection), *_in_use(connection, there, now_ms)]
    obstacles += original.obstacles(connection) if record.state != RETURNING else ()
    return WayBack(
        record=record,
        statements=(*statements, *_drops(going)),
        staying=MappingProxyType(staying),
        lost=MappingProxyType(
            {
                name: rows
                for name in going
                if name not in {RECORD.name, CORE.version_table} and (rows := count_rows(connection, name))
            }
        ),
        obstacles=tuple(obstacles),
    )


def give_back(connection: Connection, ledger: str, original: Original) -> None:
    """Does it. It may be run again after it was killed, until the record is gone with the last table.

    Raises:
        NotFound, Conflict: as `plan_return`.
    """
    with only_one(connection):
        record = require_record(connection, ledger)
        if record.state != RETURNING:
            original.restore(connection, record.remembered)
            set_state(connection, record, RETURNING)
            connection.execute(text(f"UPDATE {CORE.version_table} SET version_num = '{GIVEN_BACK}'"))  # noqa: S608 - our own names
            connection.exec_driver_sql("COMMIT")
        for name in record.statements:
            wanted, found = record.definition(name), read_definition(table_statement(connection, name))
            staying = _staying(connection, name, wanted, found)
            if statement := way_back(name, wanted, found, staying=staying):
                connection.execute(as_text(statement))
        for statement in _drops(_going(table_names(connection), record, original)):
            connection.execute(as_text(statement))


def differences(connection: Connection, record: Record) -> list[str]:
    """In which columns, keys and tables the database is not as the record says."""
    there = table_names(connection)
    found = [f"{name} is new" for name in there if name not in record.statements]
    for name in record.statements:
        if name not in there:
            found.append(f"{name} is gone")
        elif statement := way_back(
            name, record.definition(name), read_definition(table_statement(connection, name))
        ):
            found.append(statement)
    return found


def require_record(connection: Connection, ledger: str) -> Record:
    """Raises: NotFound: there is none; Conflict: it is another ledger's."""
    record = read_record(connection)
    if record is None:
        if not any(is_ours(name) for name in table_names(connection)):
            raise NotFound(
                "This database has no table of Strongroom: it was given back, or never taken over. There is nothing to do"
            )
        raise NotFound(
            "Nothing is noted of how this database was: `strongroom adopt` did not take it over. Restore the backup from before"
            " Strongroom, or leave its tables beside the original's, which does not read them"
        )
    require_ledger(record, ledger)
    return record


def _going(there: Sequence[str], record: Record, original: Original) -> list[str]:
    """The tables that go, those that hold the way back last."""
    last = [RECORD.name, CORE.version_table]
    made = [
        table.name
        for table in reversed(original.tables.sorted_tables)
        if table.name in there and table.name not in record.statements
    ]
    ours = [name for name in there if is_ours(name) and name not in {*last, *made}]
    return [*made, *ours, *(name for name in last if name in there)]


def _drops(going: Sequence[str]) -> list[str]:
    """The record and the version go in one statement: without the one nobody could go on, without the other we would begin anew."""
    *first, record, version = map(quoted, going)
    return [*(f"DROP TABLE {name}" for name in first), f"DROP TABLE {record}, {version}"]


def _in_use(connection: Connection, there: Sequence[str], now_ms: int) -> list[str]:
    found = []
    if "strongroom_lease" in there:
        query = text(
            "SELECT COUNT(*) FROM strongroom_lease WHERE expires_at_ms > :now AND name <> :migration"
        )
        if connection.scalar(query, {"now": now_ms, "migration": MIGRATION_LEASE}):
            found.append(
                "a process of Strongroom works on this database, or ended a minute ago: stop it, then try again"
            )
    if "strongroom_intent" in there:
        number = connection.scalar(text("SELECT COUNT(*) FROM strongroom_intent WHERE outcome = 'OPEN'"))
        if number:
            found.append(
                f"the outcome of {number} signed payments is open, and the original does not know of them: let"
                " `strongroom serve` run until it has found them out (strongroom payments --state OPEN), then try again"
            )
    return found


def _staying(connection: Connection, table: str, wanted: Definition, found: Definition) -> dict[str, str]:
    """Columns whose rows do not fit into what the original had, each with the reason."""
    reasons = {}
    for column in changed_columns(wanted, found):
        reason = _unfit_number(connection, table, column, wanted) or _unfit_text(
            connection, table, column, wanted
        )
        if reason:
            reasons[column] = reason
    return reasons


def _unfit_number(connection: Connection, table: str, column: str, wanted: Definition) -> str | None:
    limits = whole_numbers(wanted.columns[column])
    if limits is None:
        return None
    name = quoted(column)
    query = f"SELECT COUNT(*) FROM {quoted(table)} WHERE {name} < {limits[0]} OR {name} > {limits[1]}"  # noqa: S608 - quoted names
    number = connection.scalar(text(query))
    return f"{number} sums are larger than the original can store" if number else None


def _unfit_text(connection: Connection, table: str, column: str, wanted: Definition) -> str | None:
    charset = wanted.charset_of(column)
    if charset is None:
        return None
    name = quoted(column)
    narrow = f"CONVERT({name} USING {charset})"
    query = (
        f"SELECT COUNT(*) FROM {quoted(table)} WHERE"  # noqa: S608 - quoted names
        f" CAST(CONVERT({narrow} USING utf8mb4) AS BINARY) <> CAST(CONVERT({name} USING utf8mb4) AS BINARY)"
    )
    if number := connection.scalar(text(query)):
        return f"{number} rows have text that {charset} cannot store"
    if wanted.is_unique(column):
        collation = wanted.collation_of(column)
        distinct = f"{narrow} COLLATE {collation}" if collation else narrow
        query = f"SELECT COUNT(*) - COUNT(DISTINCT {distinct}) FROM {quoted(table)} WHERE {name} IS NOT NULL"  # noqa: S608 - as above
        if number := connection.scalar(text(query)):
            return f"{number} rows would have the key of another, because the original ignores case"
    return None
