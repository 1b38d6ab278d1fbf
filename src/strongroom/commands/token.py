"""`strongroom token`: API tokens."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from strongroom.atto.api.access import SCOPES as ATTO_SCOPES
from strongroom.bittensor.authorization.limits import SCOPES as BITTENSOR_SCOPES
from strongroom.bittensor.authorization.limits import WEIGHTS, Limits, encode_limits
from strongroom.commands.context import (
    administrative_settings,
    atto_ledger,
    bittensor_ledger,
    hathor_ledger,
    shown,
)
from strongroom.core.clock import SystemClock, iso_instant
from strongroom.core.errors import InvalidInput
from strongroom.core.http.json_decoder import decode_json
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.tokens import NewToken, Token, Tokens
from strongroom.core.storage.database import Database
from strongroom.hathor.api.legacy import SCOPES as HATHOR_SCOPES

application = typer.Typer(help="API tokens: create, list, rotate, revoke.", no_args_is_help=True)

T = TypeVar("T")

UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
SCOPES = {"atto": ATTO_SCOPES, "bittensor": BITTENSOR_SCOPES, "hathor": HATHOR_SCOPES}

Ledger = Annotated[str, typer.Option(help="Whose token: atto, bittensor or hathor.")]
TokenId = Annotated[str, typer.Argument(help="The id that `token list` shows.")]


@application.command()
def create(
    name: Annotated[str, typer.Argument(help="Who will use it; it appears in the audit trail.")],
    scope: Annotated[
        list[str],
        typer.Option(
            help=f"A right, repeatable: {', '.join(ATTO_SCOPES)}, atto:* or *; with --ledger bittensor"
            f" {', '.join(BITTENSOR_SCOPES)}, bittensor:* or *; with --ledger hathor (its first API)"
            f" {', '.join(HATHOR_SCOPES)}, hathor:* or *."
        ),
    ],
    expires: Annotated[str | None, typer.Option(help="For example 90d, 12h, 30m. Default: never.")] = None,
    ledger: Ledger = "atto",
    wallet: Annotated[list[str] | None, typer.Option(help="Bittensor: only this wallet; repeatable.")] = None,
    hotkey: Annotated[list[str] | None, typer.Option(help="Bittensor: only this hotkey; repeatable.")] = None,
    netuid: Annotated[list[int] | None, typer.Option(help="Bittensor: only this subnet; repeatable.")] = None,
    call: Annotated[
        list[str] | None,
        typer.Option(
            help="Bittensor: a call that may be submitted, Pallet.function; repeatable. Default: weights,"
            " all that set weights."
        ),
    ] = None,
    coldkey: Annotated[bool, typer.Option("--coldkey", help="Bittensor: the coldkey may sign.")] = False,
    most_rao: Annotated[
        int | None, typer.Option(help="Bittensor: what one call may take from the coldkey, in rao.")
    ] = None,
    destination: Annotated[
        list[str] | None, typer.Option(help="Bittensor: only this address may be paid; repeatable.")
    ] = None,
    any_text: Annotated[
        bool, typer.Option("--any-text", help="Bittensor: any printable text may be signed.")
    ] = False,
    rate: Annotated[int | None, typer.Option(help="Bittensor: requests a minute.")] = None,
    network: Annotated[
        list[str] | None, typer.Option(help="Bittensor: only from there, for example 10.0.0.0/8; repeatable.")
    ] = None,
) -> None:
    """Create a token and print it, once."""
    _check_scopes(ledger, scope)
    expires_at_ms = None if expires is None else SystemClock().now_ms() + _duration_ms(expires)
    limits = encode_limits(
        Limits(
            wallets=_some(wallet),
            hotkeys=_some(hotkey),
            netuids=_some(netuid),
            calls=_some(call) or (WEIGHTS,),
            coldkey=coldkey,
            most_rao=most_rao,
            destinations=_some(destination),
            any_text=any_text,
            requests_a_minute=rate,
            networks=_some(network),
        )
    )
    if limits and ledger != "bittensor":
        raise typer.BadParameter("limits are for --ledger bittensor; Atto's tokens have scopes and --expires")

    async def work() -> tuple[NewToken, str]:
        async with _tokens(ledger, makes=True) as (tokens, database):
            return await tokens.create(OPERATOR, name, scope, expires_at_ms, limits), shown(database)

    _show(*asyncio.run(work()))


@application.command("list")
def list_tokens(ledger: Ledger = "atto") -> None:
    """List tokens, without their secrets."""

    async def work() -> list[Token]:
        async with _tokens(ledger) as (tokens, _):
            return await tokens.list()

    table = Table()
    table.add_column("id", no_wrap=True)
    headings = ["name", "scopes", "created", "expires", "revoked"]
    limited = ledger == "bittensor"
    for heading in [*headings, "limits"] if limited else headings:
        table.add_column(heading, overflow="fold")
    for token in asyncio.run(work()):
        moments = [token.created_at_ms, token.expires_at_ms, token.revoked_at_ms]
        narrowed = [Text(_readable(token.limits))] if limited else []
        table.add_row(token.id, Text(token.name), "\n".join(token.scopes), *map(_minute, moments), *narrowed)
    Console().print(table)


def _readable(limits: str) -> str:
    """A line for each."""
    document: dict[str, Any] = decode_json(limits) if limits else {}
    return "\n".join(
        f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in document.items()
    )


@application.command()
def rotate(token_id: TokenId, ledger: Ledger = "atto") -> None:
    """Give a token another secret and print it, once. The old one ends at once."""

    async def work() -> tuple[NewToken, str]:
        async with _tokens(ledger) as (tokens, database):
            return await tokens.rotate(OPERATOR, token_id), shown(database)

    _show(*asyncio.run(work()))


@application.command()
def revoke(token_id: TokenId, ledger: Ledger = "atto") -> None:
    """Revoke a token at once."""

    async def work() -> None:
        async with _tokens(ledger) as (tokens, _):
            await tokens.revoke(OPERATOR, token_id)

    asyncio.run(work())
    typer.echo(f"revoked {token_id}")


@asynccontextmanager
async def _tokens(ledger: str, *, makes: bool = False) -> AsyncIterator[tuple[Tokens, Database]]:
    if ledger == "bittensor":
        async with bittensor_ledger(administrative_settings([ledger]), makes=makes) as bittensor:
            yield bittensor.tokens, bittensor.database
    elif ledger == "hathor":
        async with hathor_ledger(administrative_settings([ledger]), makes=makes) as hathor:
            yield hathor.api_tokens, hathor.database
    elif ledger == "atto":
        async with atto_ledger(administrative_settings(), makes=makes) as atto:
            yield atto.tokens, atto.database
    else:
        raise InvalidInput(f"No tokens are issued for {ledger}; there are {', '.join(SCOPES)}")


def _check_scopes(ledger: str, scopes: list[str]) -> None:
    if ledger not in SCOPES:
        raise typer.BadParameter(f"--ledger is {' or '.join(SCOPES)}")
    known = SCOPES[ledger]
    unknown = [one for one in scopes if one not in known and one not in {"*", f"{ledger}:*"}]
    if unknown:
        raise typer.BadParameter(
            f"unknown scope {', '.join(unknown)}; there are {', '.join(known)}, {ledger}:* and *"
        )


def _some(values: list[T] | None) -> tuple[T, ...] | None:
    return tuple(values) if values else None


def _show(token: NewToken, database: str) -> None:
    typer.echo(token.secret)
    typer.echo(f"Keep it: it is not shown again. Its id is {token.id}, in {database}.", err=True)


def _duration_ms(text: str) -> int:
    found = re.fullmatch(r"([1-9]\d{0,5})([mhd])", text)
    if found is None:
        raise typer.BadParameter("--expires looks like 90d, 12h or 30m")
    return int(found[1]) * UNITS_MS[found[2]]


def _minute(moment_ms: int | None) -> str:
    """UTC, for example `2026-11-21 08:57Z`."""
    return "" if moment_ms is None else iso_instant(moment_ms)[:16].replace("T", " ") + "Z"
