"""`strongroom migrate`: changes the schema of the databases, or says what it would change."""

import asyncio
from typing import Annotated

import typer

from strongroom.commands.context import ChosenLedgers, administrative_settings, require_known
from strongroom.commands.installed import installed
from strongroom.core.ledger.installed import Installed, looking, named
from strongroom.core.security.short_secrets import require_long_credentials
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate as bring_up_to_date
from strongroom.core.storage.schema import Plan, plan, shown
from strongroom.settings import Settings

MIB = 1 << 20
SHOWN = 40


DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Say what it would do, and how large the tables are. Changes nothing."),
]


def migrate(ledgers: ChosenLedgers = None, dry_run: DryRun = False) -> None:
    """Bring the databases up to date and end. `serve` does it too."""
    require_known(ledgers)
    settings = administrative_settings(ledgers)
    asyncio.run(_show_all(settings) if dry_run else _migrate_all(settings))


async def _migrate_all(settings: Settings) -> None:
    settings.data.mkdir(parents=True, exist_ok=True)
    for one in installed(settings):
        database = Database(one.url, pool_size=2)
        try:
            with named(database):
                await require_long_credentials(database, one.short_credentials)
                await bring_up_to_date(database, one.revisions)
        finally:
            await database.close()
        typer.echo(f"{shown(database)} is up to date")


async def _show_all(settings: Settings) -> None:
    for one in installed(settings):
        async with looking(one) as database:
            _show(one, shown(database), await plan(database, one.revisions))
    typer.echo("Nothing was changed.")


def _show(one: Installed, where: str, found: Plan) -> None:
    typer.echo(f"{one.ledger}: {where}")
    for state in found.states:
        missing = ", ".join(state.pending) or "nothing is missing"
        typer.echo(f"  schema of {state.component}: {state.current or 'not there'}; to do: {missing}")
    for step in found.steps:
        typer.echo(f"  {step.revision}")
        for note in step.notes:
            typer.echo(f"    -- {note}")
        for statement in step.statements:
            typer.echo(f"    {statement};")
        if not step.is_whole:
            typer.echo("    -- and more, which depends on what the statements before it make")
    if found.steps and found.sizes:
        typer.echo("  tables that are there:")
        for table in found.sizes[:SHOWN]:
            size = "" if table.size is None else f", {table.size / MIB:.1f} MiB"
            mark = "  (large: a change of it may take long)" if table.is_large else ""
            typer.echo(f"    {table.name}: about {table.rows} rows{size}{mark}")
        if len(found.sizes) > SHOWN:
            typer.echo(f"    and {len(found.sizes) - SHOWN} smaller ones")
