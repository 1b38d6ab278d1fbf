"""`strongroom toy ...`: what an operator does with payments."""

import asyncio
from functools import partial
from typing import Annotated

import typer

from strongroom.core.clock import SystemClock
from strongroom.core.errors import InvalidInput
from strongroom.core.ledger.contract import Administration, administration_of
from strongroom_toy.definition import LEDGER
from strongroom_toy.payments import abandon

application = typer.Typer(no_args_is_help=True, help="Look after the toy ledger.")


@application.callback()
def group() -> None:
    """Keeps `abandon` a subcommand, also while it is the only one."""


@application.command("abandon")
def abandon_transfer(
    context: typer.Context, transfer: Annotated[str, typer.Argument(help="The transfer's hash.")]
) -> None:
    """Give up a transfer whose outcome stays open, when the chain can never have it any more."""
    asyncio.run(_abandon(administration_of(context), transfer))


async def _abandon(administration: Administration, transfer: str) -> None:
    try:
        intent_id = bytes.fromhex(transfer)
    except ValueError:
        raise InvalidInput(f"{transfer} is no hash") from None
    clock = SystemClock()
    async with administration.prepared(LEDGER) as ledger:
        work = partial(abandon, intent_id=intent_id, audit=ledger.audit, now_ms=clock.now_ms())
        await ledger.database.write(work)
    typer.echo(f"{transfer} is abandoned; restart the service")
