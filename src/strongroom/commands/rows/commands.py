"""`strongroom rows`: what an operator decides about tokens, rules and requests that another program changed in the database."""

import asyncio
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from strongroom.commands.context import AsOperator, operator, prepared
from strongroom.core.clock import SystemEntropy
from strongroom.core.guard.rows.accepting import AlteredRows
from strongroom.core.guard.rows.check import RowProblem
from strongroom.core.terminal import print_table
from strongroom.registry import LEDGERS

application = typer.Typer(
    help="Tokens, rules, freezes and requests that another program changed: look at them, accept them.",
    no_args_is_help=True,
)

Ledger = Annotated[str, typer.Argument(help=f"{' or '.join(one.name for one in LEDGERS)}.")]
Names = Annotated[
    list[str] | None, typer.Argument(help="As `rows list` shows them, such as token:ID or rules.")
]
All = Annotated[bool, typer.Option("--all", help="Everything that is listed.")]


@application.command("list")
def list_rows(ledger: Ledger) -> None:
    """List the rows that count for nothing, because this service did not write them as they stand. Status 1 when there are any."""

    async def work() -> list[RowProblem]:
        async with prepared(ledger) as running:
            return await AlteredRows(running.database, running.audit, SystemEntropy()).look()

    found = asyncio.run(work())
    table = Table("row", "what is wrong")
    for one in found:
        table.add_row(Text(one.name), Text(one.words))
    print_table(table)
    if found:
        raise typer.Exit(1)


@application.command()
def accept(ledger: Ledger, names: Names = None, every: All = False, name: AsOperator = None) -> None:
    """Take rows as they stand, after you have made sure of them: they count from now on, whoever wrote them; what is gone stays gone."""
    if bool(names) == every:
        raise typer.BadParameter("name rows, or --all")

    async def work() -> list[RowProblem]:
        async with prepared(ledger) as running:
            altered = AlteredRows(running.database, running.audit, SystemEntropy())
            return await altered.accept(operator(name), None if every else names)

    for one in asyncio.run(work()):
        typer.echo(f"accepted {one.name}")
