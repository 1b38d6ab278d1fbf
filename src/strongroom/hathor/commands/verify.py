"""`strongroom hathor`: the check of what the sync wrote."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import func, select

from strongroom.core.ledger.contract import Administration, administration_of
from strongroom.hathor import tables
from strongroom.hathor.definition import LEDGER
from strongroom.hathor.maintenance.verifier import Report

application = typer.Typer(help="Look after the Hathor ledger.", no_args_is_help=True)

SHOWN = 50


@application.callback()
def _group() -> None:
    """Without it the only command would be the group itself."""


@application.command()
def verify(
    context: typer.Context,
    repair: Annotated[
        bool, typer.Option("--repair", help="Write what is expected over what differs.")
    ] = False,
) -> None:
    """Compare every balance, history and counter with the transactions and outputs they follow from."""
    report = asyncio.run(_verify(administration_of(context), repair=repair))
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


async def _verify(administration: Administration, *, repair: bool) -> Report:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    async with administration.opened(LEDGER) as ledger:
        verifier = await ledger.verifier(repair=repair)
        rows = await ledger.database.fetch_all(select(func.count()).select_from(tables.address))
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("addresses", total=rows[0][0])
            return await verifier.run(lambda report: bar.update(task, completed=report.addresses))
