"""`strongroom freeze` and `strongroom unfreeze`: nothing of a token, a wallet, a ledger or of all of them is signed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from strongroom.commands.context import (
    AsOperator,
    named_or_configured,
    operator,
    prepared,
)
from strongroom.core.errors import StrongroomError
from strongroom.core.guard.everywhere import ALREADY_FROZEN, NOT_FROZEN, change_each
from strongroom.core.guard.state import FreezeScope
from strongroom.core.ledger.contract import Ledger
from strongroom.core.ledger.subjects import has_subject
from strongroom.registry import LEDGERS

NAMES = " or ".join(one.name for one in LEDGERS)
LedgerName = Annotated[
    str | None, typer.Option("--ledger", help=f"{NAMES}. Default: every ledger that is configured.")
]
Wallet = Annotated[str | None, typer.Option(help="This wallet alone.")]
Token = Annotated[str | None, typer.Option(help="The token of this name alone.")]

Anyway = Annotated[bool, typer.Option("--anyway", help="Also where no wallet or token has this name.")]

Change = Callable[[Ledger], Awaitable[None]]


class _NoSubject(StrongroomError):
    """The ledger has no wallet or token of this name."""


def freeze(
    reason: Annotated[str, typer.Option(help="Told to everyone who asks for a signature.")],
    ledger: LedgerName = None,
    wallet: Wallet = None,
    token: Token = None,
    anyway: Anyway = False,
    name: AsOperator = None,
) -> None:
    """Refuse every signature from now on; reading goes on."""
    if token is not None and token.startswith("token:"):
        raise typer.BadParameter("--token is the name as `token list` shows it, without token:")
    scope, subject = _subject(wallet, token)

    async def change(running: Ledger) -> None:
        if not anyway and not await has_subject(running, scope, subject):
            raise _NoSubject(f"it has no {scope.value} {subject!r}. --anyway freezes the name all the same")
        await running.rules.freeze(operator(name), scope, subject, reason)

    _each("frozen", ledger, change, done_code=ALREADY_FROZEN)


def unfreeze(
    ledger: LedgerName = None, wallet: Wallet = None, token: Token = None, name: AsOperator = None
) -> None:
    """End what `freeze` began, for the same ledger, wallet or token."""
    scope, subject = _subject(wallet, token)

    async def change(running: Ledger) -> None:
        await running.rules.unfreeze(operator(name), scope, subject)

    _each("unfrozen", ledger, change, done_code=NOT_FROZEN)


def _subject(wallet: str | None, token: str | None) -> tuple[FreezeScope, str]:
    if wallet is not None and token is not None:
        raise typer.BadParameter("give --wallet or --token, not both")
    if wallet is not None:
        return FreezeScope.WALLET, wallet
    return (FreezeScope.LEDGER, "") if token is None else (FreezeScope.TOKEN, token)


def _each(done: str, ledger: str | None, change: Change, *, done_code: str) -> None:
    """Every ledger is tried. That one does not know a name, or is so already, is an error only if none is changed."""
    wanted = [one.name for one in named_or_configured(ledger)]

    async def change_one(name: str) -> None:
        async with prepared(name) as running:
            await change(running)

    outcomes = asyncio.run(change_each(wanted, change_one, done_code=done_code))
    for one in outcomes:
        if one.error is None:
            typer.echo(f"{one.ledger}: {done}")
        else:
            typer.echo(f"{one.ledger}: not {done}: {one.error.message}", err=True)
    faults = [one.error for one in outcomes if not (one.is_done or isinstance(one.error, _NoSubject))]
    if faults or all(one.error is not None for one in outcomes):
        raise typer.Exit(1)
