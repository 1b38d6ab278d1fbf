"""`strongroom freeze` and `strongroom unfreeze`: nothing of a token, a wallet, a ledger or of all of them is signed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from strongroom.commands.context import (
    Administrator,
    AsOperator,
    administrative_settings,
    named_ledger,
    operator,
)
from strongroom.core.errors import StrongroomError
from strongroom.core.guard.state import FreezeScope
from strongroom.core.ledger.contract import AnyLedger, Ledger
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

    _each("frozen", ledger, change)


def unfreeze(
    ledger: LedgerName = None, wallet: Wallet = None, token: Token = None, name: AsOperator = None
) -> None:
    """End what `freeze` began, for the same ledger, wallet or token."""
    scope, subject = _subject(wallet, token)

    async def change(running: Ledger) -> None:
        await running.rules.unfreeze(operator(name), scope, subject)

    _each("unfrozen", ledger, change)


def _subject(wallet: str | None, token: str | None) -> tuple[FreezeScope, str]:
    if wallet is not None and token is not None:
        raise typer.BadParameter("give --wallet or --token, not both")
    if wallet is not None:
        return FreezeScope.WALLET, wallet
    return (FreezeScope.LEDGER, "") if token is None else (FreezeScope.TOKEN, token)


def _each(done: str, ledger: str | None, change: Change) -> None:
    """Every ledger is tried, whatever happens with another: one that is away must not keep the others open.

    That a ledger does not know a name is an error only if none of them does.
    """
    failed, changed = False, False
    for definition in _wanted(ledger):
        try:
            asyncio.run(_change(definition, change))
        except StrongroomError as error:
            failed = failed or not isinstance(error, _NoSubject)
            typer.echo(f"{definition.name}: not {done}: {error.message}", err=True)
        else:
            changed = True
            typer.echo(f"{definition.name}: {done}")
    if failed or not changed:
        raise typer.Exit(1)


async def _change(ledger: AnyLedger, change: Change) -> None:
    async with Administrator().prepared(ledger) as running:
        await change(running)


def _wanted(name: str | None) -> list[AnyLedger]:
    if name is not None:
        return [named_ledger(name, [*LEDGERS])]
    return [one for one in LEDGERS if one.name in administrative_settings().ledgers]
