"""`strongroom sync hathor` and `strongroom hathor`: the sync alone, and the check of what it wrote."""

import asyncio
import os
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from strongroom.commands.context import administrative_settings, hathor_ledger, print_ready
from strongroom.core.runtime.telemetry import configure_logging
from strongroom.core.storage.statements import execute
from strongroom.hathor.maintenance.verifier import Report
from strongroom.hathor.sync.source import WrongSourceError
from strongroom.server import sync_hathor
from strongroom.settings import Settings, read_settings

application = typer.Typer(help="Look after the Hathor ledger.", no_args_is_help=True)
sync = typer.Typer(help="Follow a node into the database, without serving an API.", no_args_is_help=True)

SHOWN = 50


@sync.callback()
def _group() -> None:
    """Without it the only command would be the group itself."""


@sync.command("hathor")
def follow() -> None:
    """Follow a Hathor full node's event queue."""
    settings = read_settings(os.environ, ("hathor",), serves_ledgers=False)
    configure_logging(as_json=settings.log_as_json, level=settings.log_level)
    settings.log_warnings()
    try:
        uvloop.run(sync_hathor(settings, print_ready))
    except WrongSourceError as error:
        typer.echo(f"strongroom: {error}", err=True)
        raise typer.Exit(1) from None


@application.command()
def verify(
    repair: Annotated[
        bool, typer.Option("--repair", help="Write what is expected over what differs.")
    ] = False,
) -> None:
    """Compare every balance, history and counter with the transactions and outputs they follow from."""
    report = asyncio.run(_verify(administrative_settings(["hathor"]), repair=repair))
    for difference in report.differences[:SHOWN]:
        key = " ".join(difference.key)
        typer.echo(f"{difference.table} {key}: found {difference.found}, expected {difference.expected}")
    end = "repaired" if report.repaired else "found"
    typer.echo(
        f"{report.addresses} addresses, {report.wallets} wallets, {report.tokens} tokens:"
        f" {report.count} differences {end}"
    )
    if report.count and not report.repaired:
        raise typer.Exit(1)


async def _verify(settings: Settings, *, repair: bool) -> Report:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    async with hathor_ledger(settings) as ledger:
        verifier = await ledger.verifier(repair=repair)
        rows = await ledger.database.read(lambda c: execute(c, "SELECT COUNT(*) FROM address"))
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("addresses", total=rows[0][0])
            return await verifier.run(lambda report: bar.update(task, completed=report.addresses))
