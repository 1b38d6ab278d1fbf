"""`strongroom token ... --ledger all`: the same token on every configured ledger, so that one token administers all of them.

The ledgers have databases of their own, so one may be away while the others are changed. Each is tried, and each command may be
repeated: `token copy` brings a token to the ledgers that lack it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import typer

from strongroom.commands.context import Administrator, named_ledger, named_or_configured
from strongroom.core.clock import SystemEntropy
from strongroom.core.errors import Conflict, NotFound, StrongroomError
from strongroom.core.ledger.contract import AnyLedger, Ledger
from strongroom.core.security.access import ADMIN_SCOPES, OPERATOR
from strongroom.core.security.stored_tokens import NewToken, new_token, same_token
from strongroom.registry import LEDGERS

ALL = "all"
Create = Callable[[Ledger, NewToken], Awaitable[NewToken]]


def create_everywhere(scopes: list[str], create: Create) -> None:
    """Prints the token as soon as it stands on one ledger."""
    if unknown := {*scopes} - ADMIN_SCOPES.keys():
        raise typer.BadParameter(
            f"{', '.join(sorted(unknown))}: on all ledgers a token has scopes of the admin API, {', '.join(ADMIN_SCOPES)}"
        )
    made = new_token(SystemEntropy())
    stands: AnyLedger | None = None
    failed = False
    for definition in _configured():
        try:
            shown = asyncio.run(_work(definition, lambda running: create(running, made), makes=True))
        except StrongroomError as error:
            failed = True
            typer.echo(f"{definition.name}: not created: {error.message}", err=True)
            continue
        if stands is None:
            stands = definition
            typer.echo(shown.secret or shown.id)
            typer.echo(f"Keep it: it is not shown again. Its id is {made.id}.", err=True)
        typer.echo(f"{definition.name}: created", err=True)
    if failed:
        if stands is not None:
            typer.echo(f"later: strongroom token copy {made.id} --from {stands.name}", err=True)
        raise typer.Exit(1)


def rotate_everywhere(token_id: str, overlap_ms: int) -> None:
    """The ledgers on which it stands get the same secret."""
    made = same_token(token_id, SystemEntropy())
    is_shown = False

    async def rotate(running: Ledger) -> None:
        await running.tokens.rotate(OPERATOR, token_id, overlap_ms, made=made)

    def told() -> None:
        nonlocal is_shown
        if not is_shown:
            is_shown = True
            typer.echo(made.secret)
            typer.echo("Keep it: it is not shown again.", err=True)

    _each("rotated", rotate, told)


def revoke_everywhere(token_id: str) -> None:
    async def revoke(running: Ledger) -> None:
        await running.tokens.revoke(OPERATOR, token_id)

    _each("revoked", revoke, lambda: None)


def copy(token_id: str, source: AnyLedger, ledger: str) -> None:
    """To the ledgers that lack it."""
    targets = _configured() if ledger == ALL else [named_ledger(ledger, [*LEDGERS])]
    failed = False
    for definition in targets:
        if definition is source:
            continue
        try:
            asyncio.run(_copy(token_id, source, definition))
        except Conflict as error:
            typer.echo(f"{definition.name}: nothing to do: {error.message}")
        except StrongroomError as error:
            failed = True
            typer.echo(f"{definition.name}: not copied: {error.message}", err=True)
        else:
            typer.echo(f"{definition.name}: copied")
    if failed:
        raise typer.Exit(1)


async def _copy(token_id: str, source: AnyLedger, target: AnyLedger) -> None:
    async with Administrator().prepared(source) as ours:
        await _work(target, lambda running: running.tokens.copy_from(OPERATOR, ours.tokens, token_id))


def _each(done: str, change: Callable[[Ledger], Awaitable[None]], told: Callable[[], None]) -> None:
    """Status 1: it failed on a ledger, or no ledger has the token. It is safe to run the command again."""
    failed, changed = False, 0
    for definition in _configured():
        try:
            asyncio.run(_work(definition, change))
        except NotFound as error:
            typer.echo(f"{definition.name}: {error.message}", err=True)
        except StrongroomError as error:
            failed = True
            typer.echo(f"{definition.name}: not {done}: {error.message}", err=True)
        else:
            changed += 1
            told()
            typer.echo(f"{definition.name}: {done}", err=True)
    if failed or not changed:
        raise typer.Exit(1)


async def _work(ledger: AnyLedger, work: Callable[[Ledger], Awaitable[Any]], *, makes: bool = False) -> Any:
    async with Administrator().prepared(ledger, makes=makes) as running:
        return await work(running)


def _configured() -> list[AnyLedger]:
    return [one for one in named_or_configured(None) if one.scopes()]
