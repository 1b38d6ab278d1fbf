"""`strongroom keys`: what an operator decides about sealed rows that the service refuses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from strongroom.atto.wallets.holdings import WalletHoldings
from strongroom.bittensor.keystore.holdings import KeyHoldings
from strongroom.commands.context import administrative_settings
from strongroom.commands.installed import require_installed
from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.security.audit import Audit
from strongroom.core.security.repair import Repair, Verdict
from strongroom.core.storage.database import Database

application = typer.Typer(
    help="Sealed rows that do not open or were altered: look at them, accept or abandon them.",
    no_args_is_help=True,
)

T = TypeVar("T")

LEDGERS = ("atto", "bittensor")

Ledger = Annotated[str, typer.Argument(help="atto or bittensor.")]
Names = Annotated[list[str] | None, typer.Argument(help="Wallets, or keys as WALLET/HOTKEY.")]
All = Annotated[bool, typer.Option("--all", help="Every row that it concerns.")]


@application.command("list")
def list_rows(ledger: Ledger) -> None:
    """List every sealed row and what is wrong with it. Status 1 when something is."""

    async def work(repair: Repair) -> list[Verdict]:
        return await repair.look()

    verdicts = asyncio.run(_with(ledger, work))
    table = Table("row", "state")
    for one in verdicts:
        unbound = "" if one.is_bound else ", and the next start of the service binds it"
        table.add_row(Text(one.row.name), Text(one.words or f"good{unbound}"))
    Console().print(table)
    if any(one.words for one in verdicts):
        raise typer.Exit(1)


@application.command()
def accept(ledger: Ledger, names: Names = None, every: All = False) -> None:
    """Take rows as they stand, after you have made sure of them: the original changed them, or the key was changed."""
    chosen = _chosen(names, every=every)

    async def work(repair: Repair) -> list[str]:
        return await repair.accept(chosen)

    for name in asyncio.run(_with(ledger, work)):
        typer.echo(f"accepted {name}")


@application.command()
def abandon(ledger: Ledger, names: Names = None, every: All = False) -> None:
    """Give up what does not open, because its key is lost: Atto's wallet is locked, of Bittensor's key the address is kept."""
    chosen = _chosen(names, every=every)

    async def work(repair: Repair) -> list[str]:
        return await repair.abandon(chosen, SystemEntropy())

    for name in asyncio.run(_with(ledger, work)):
        typer.echo(f"abandoned {name}")


def _chosen(names: list[str] | None, *, every: bool) -> list[str] | None:
    if bool(names) == every:
        raise typer.BadParameter("name rows, or --all")
    return None if every else names


async def _with(ledger: str, work: Callable[[Repair], Awaitable[T]]) -> T:
    async with _repair(ledger) as repair:
        return await work(repair)


@asynccontextmanager
async def _repair(ledger: str) -> AsyncIterator[Repair]:
    if ledger not in LEDGERS:
        raise typer.BadParameter(f"the ledger is {' or '.join(LEDGERS)}")
    settings = administrative_settings([ledger])
    atto, bittensor = settings.atto, settings.bittensor
    await require_installed(settings, ledger)
    if atto is not None:
        source, database = atto.key, Database(atto.database)
    elif bittensor is not None:
        source, database = bittensor.key, Database(bittensor.database)
    else:
        raise typer.Exit(2)
    holdings = WalletHoldings() if atto is not None else KeyHoldings()
    try:
        yield Repair(source, database, holdings, Audit(SystemClock()))
    finally:
        await database.close()
