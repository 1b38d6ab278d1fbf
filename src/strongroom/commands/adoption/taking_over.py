"""Looks at the original's database, takes it over, and checks it afterwards."""

import asyncio
from functools import partial
from pathlib import Path

import typer
from sqlalchemy import Connection

from strongroom.commands.adoption.recording import record_adoption
from strongroom.commands.adoption.target import Target, one_connection
from strongroom.core.clock import SystemClock
from strongroom.core.errors import Conflict, StrongroomError
from strongroom.core.ledger.contract import Check
from strongroom.core.ledger.installed import Installed, check_schema, looking, named
from strongroom.core.storage.adoption.dump import dump, dump_name, find_dumps
from strongroom.core.storage.adoption.original import Original
from strongroom.core.storage.adoption.record import (
    ADOPTING,
    RETURNING,
    Record,
    count_rows,
    read_record,
    write_record,
)
from strongroom.core.storage.adoption.survey import Survey, connected, expected_s, survey
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate
from strongroom.core.storage.schema import plan, shown

MIB = 1 << 20
SHOWN = 40


async def show_survey(target: Target) -> None:
    """Says what is there and what would be done; changes nothing."""
    found, obstacles, record = await _look(target)
    typer.echo(f"{target.definition.title}: {target.original.title}, {found.original}, on {found.engine}")
    for size in found.sizes[:SHOWN]:
        typer.echo(f"  {size.name}: about {size.rows} rows, {(size.size or 0) / MIB:.1f} MiB")
    if record is not None:
        typer.echo(f"  was taken over already ({record.state.lower()})")
    async with looking(target.installed) as database:
        planned = await plan(database, target.installed.revisions)
    typer.echo("What will change:" if planned.steps else "Nothing is left to change.")
    for step in planned.steps:
        for line in (*(f"-- {note}" for note in step.notes), *(f"{one};" for one in step.statements)):
            typer.echo(f"  {line}")
        if not step.is_whole:
            typer.echo("  -- and more, which depends on what the statements before it make")
    typer.echo(f"Expected time: about {max(1, expected_s(planned.steps, found.sizes))} s")
    for one in obstacles:
        typer.echo(f"In the way: {one}")
    typer.echo("Nothing was changed.")
    if obstacles:
        raise typer.Exit(1)


async def take_over(target: Target, *, backup_made: bool, backup: Path | None = None) -> None:
    """Notes how the database is, migrates it, and checks it. A run that was killed is taken up where it ended.

    Raises:
        Conflict: something stands in the way; nothing was changed.
    """
    _, obstacles, record = await _look(target)
    if record is not None and record.state == RETURNING:
        raise Conflict("This database is being given back: end that with --revert, then take it over again")
    if obstacles:
        raise Conflict(f"Nothing was changed. In the way: {'; '.join(obstacles)}")
    if record is None:
        await _require_backup(target, backup, backup_made=backup_made)
    elif backup is not None:
        _name_backup(target, backup)
    database = Database(target.installed.url, pool_size=2)
    try:
        with named(database):
            record = await adopt_database(database, target.installed, target.original)
    finally:
        await database.close()
    typer.echo(f"{shown(database)} is taken over: {target.original.title}, {record.version}")
    problem = await _record(target, record) if record.state == ADOPTING else None
    await _check(target, problem)


async def _require_backup(target: Target, folder: Path | None, *, backup_made: bool) -> None:
    if folder is not None:
        name = dump_name(str(target.installed.url.database), SystemClock().now_ms())
        await asyncio.to_thread(dump, target.installed.url, folder / name)
        typer.echo(f"The backup is {folder / name}")
    elif not backup_made:
        raise Conflict(
            "Make a backup first: --backup FOLDER writes one with mariadb-dump or mysqldump, and --backup-made says that you"
            " have one. Nothing was changed"
        )


def _name_backup(target: Target, folder: Path) -> None:
    """A takeover that was killed is taken up with the backup that its first run made.

    Raises:
        Conflict: the folder has none.
    """
    dumps = find_dumps(folder, str(target.installed.url.database))
    if not dumps:
        raise Conflict(
            "The takeover of this database has begun before, so that a backup made now would not be the original's, and"
            f" {folder} has none from before it. If you have one elsewhere, say --backup-made. Nothing was changed"
        )
    typer.echo(f"The takeover has begun before, so that no backup is made now. {dumps[-1]} is from before it")


async def _record(target: Target, record: Record) -> str | None:
    """Why the trail has no row of the takeover."""
    try:
        await record_adoption(target, record)
    except StrongroomError as error:
        return f"it has no row of this yet, and gets it when this command runs again. {error.message}"
    return None


async def adopt_database(database: Database, installed: Installed, original: Original) -> Record:
    """The record, then the migration, then the comparison of rows.

    Raises:
        Conflict: rows are missing after the migration.
    """
    now_ms = SystemClock().now_ms()
    record = await database.write(
        partial(write_record, ledger=installed.ledger, original=original, now_ms=now_ms), answer_s=None
    )
    await migrate(database, installed.revisions)
    if record.state == ADOPTING:
        await database.read(partial(_require_rows, record=record))
    return record


def _require_rows(connection: Connection, record: Record) -> None:
    fewer = [
        f"{name} has {found} rows and had {rows}"
        for name, rows in record.rows.items()
        if (found := count_rows(connection, name)) < rows
    ]
    if fewer:
        raise Conflict(f"Rows are missing: {'; '.join(fewer)}. Did another program write? Restore the backup")


async def _look(target: Target) -> tuple[Survey, list[str], Record | None]:
    async with one_connection(target) as database:

        def work(connection: Connection) -> tuple[Survey, list[str], Record | None]:
            found = survey(connection, target.original)
            obstacles = target.obstacles(found.obstacles, connected(connection))
            return found, obstacles, read_record(connection)

        return await database.read(work)


async def _check(target: Target, problem: str | None) -> None:
    """What `strongroom doctor` asks of this ledger."""
    checks: dict[str, Check] = {
        f"{target.installed.ledger} database": partial(check_schema, target.installed)
    }
    checks |= target.definition.checks(target.installed, target.settings)
    wrong = 0
    if problem is not None:
        wrong += 1
        typer.echo(f"  {target.installed.ledger} audit trail: FAILED: {problem}")
    for name, check in checks.items():
        try:
            typer.echo(f"  {name}: {await check()}")
        except StrongroomError as error:
            wrong += 1
            typer.echo(f"  {name}: FAILED: {error.message}")
    if wrong:
        typer.echo(
            "The database is taken over. See to what failed before you serve, or give it back with --revert."
        )
        raise typer.Exit(1)
    typer.echo("Everything is in order. Next: strongroom serve")
