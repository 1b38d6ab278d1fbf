"""Gives a database back to its original, after it has said what that costs."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import typer

from strongroom.commands.adoption.recording import record_return
from strongroom.commands.adoption.target import Target, one_connection
from strongroom.core.clock import SystemClock
from strongroom.core.errors import Conflict, StrongroomError
from strongroom.core.storage.adoption.definitions import is_ours
from strongroom.core.storage.adoption.export import export_tables
from strongroom.core.storage.adoption.record import RETURNING
from strongroom.core.storage.adoption.returning import WayBack, differences, give_back, plan_return
from strongroom.core.storage.adoption.survey import connected
from strongroom.core.storage.database import Database
from strongroom.core.storage.tables import audit, audit_lane


async def give_back_database(target: Target, *, export: Path | None, dry_run: bool, yes: bool) -> None:
    """Asks, writes the tables that go into a file, and gives the database back.

    Raises:
        NotFound: nothing is noted of how the database was.
        Conflict: something stands in the way; nothing was changed.
    """
    now_ms = SystemClock().now_ms()
    async with one_connection(target) as database:
        way, others = await database.read(
            lambda c: (plan_return(c, target.installed.ledger, target.original, now_ms), connected(c))
        )
        obstacles = target.obstacles(way.obstacles, others)
        _show(way)
        if dry_run:
            for one in obstacles:
                typer.echo(f"In the way: {one}")
            typer.echo("Nothing was changed.")
            raise typer.Exit(1 if obstacles else 0)
        if obstacles:
            raise Conflict(f"Nothing was changed. In the way: {'; '.join(obstacles)}")
        if not yes:
            typer.confirm("Give this database back?", abort=True)
        if way.record.state != RETURNING:
            tables = await _record(target, way)
            await _export(
                database, tables, export or target.data / f"{target.installed.ledger}-{now_ms}.jsonl.gz"
            )
        await _give_back(database, target, way)


async def _record(target: Target, way: WayBack) -> list[str]:
    """Writes the trail's row; which tables have rows now. A lost key must not keep anybody from going back."""
    try:
        await record_return(target, way.record)
    except StrongroomError as error:
        typer.echo(f"The audit trail has no row of this: {error.message}", err=True)
        return [*way.lost]
    return [*dict.fromkeys((*way.lost, audit.name, audit_lane.name))]


async def _export(database: Database, tables: Sequence[str], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    await database.write(partial(export_tables, tables=tables, target=file), answer_s=None)
    typer.echo(f"The tables that go are in {file}. Keep it as you keep a backup.")


async def _give_back(database: Database, target: Target, way: WayBack) -> None:
    ledger, original = target.installed.ledger, target.original
    await database.write(partial(give_back, ledger=ledger, original=original), answer_s=None)
    left = await database.read(partial(differences, record=way.record))
    for one in left:
        typer.echo(f"  not as before: {one}")
    typer.echo(
        f"The database is the {original.title}'s again, as of {way.record.version}. Start it with its own variables."
    )


def _show(way: WayBack) -> None:
    typer.echo("What will be lost:" if way.lost else "Nothing of ours has rows.")
    for name, rows in way.lost.items():
        typer.echo(f"  {name}: {rows} rows{'' if is_ours(name) else ' (the original makes this table anew)'}")
    typer.echo("What will be done:")
    for statement in way.statements:
        typer.echo(f"  {statement};")
    for column, why in way.staying.items():
        typer.echo(f"  {column} stays as it is: {why}")
