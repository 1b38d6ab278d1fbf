"""`strongroom token`: API tokens."""

import asyncio
import re
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from strongroom.atto.api.access import SCOPES
from strongroom.commands.context import administrative_settings, atto_ledger, shown
from strongroom.core.access import OPERATOR
from strongroom.core.clock import SystemClock, iso_instant
from strongroom.core.tokens import NewToken, Token

application = typer.Typer(help="API tokens: create, list, revoke.", no_args_is_help=True)

UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


@application.command()
def create(
    name: Annotated[str, typer.Argument(help="Who will use it; it appears in the audit trail.")],
    scope: Annotated[list[str], typer.Option(help=f"A right, repeatable: {', '.join(SCOPES)}, atto:* or *.")],
    expires: Annotated[str | None, typer.Option(help="For example 90d, 12h, 30m. Default: never.")] = None,
) -> None:
    """Create a token and print it, once."""
    unknown = [one for one in scope if one not in SCOPES and one not in {"*", "atto:*"}]
    if unknown:
        raise typer.BadParameter(
            f"unknown scope {', '.join(unknown)}; there are {', '.join(SCOPES)}, atto:* and *"
        )
    expires_at_ms = None if expires is None else SystemClock().now_ms() + _duration_ms(expires)

    async def work() -> tuple[NewToken, str]:
        async with atto_ledger(administrative_settings()) as ledger:
            return await ledger.tokens.create(OPERATOR, name, scope, expires_at_ms), shown(ledger.database)

    token, database = asyncio.run(work())
    typer.echo(token.secret)
    typer.echo(f"Keep it: it is not shown again. Its id is {token.id}, in {database}.", err=True)


@application.command("list")
def list_tokens() -> None:
    """List tokens, without their secrets."""

    async def work() -> list[Token]:
        async with atto_ledger(administrative_settings()) as ledger:
            return await ledger.tokens.list()

    table = Table()
    table.add_column("id", no_wrap=True)
    for heading in ("name", "scopes", "created", "expires", "revoked"):
        table.add_column(heading, overflow="fold")
    for token in asyncio.run(work()):
        moments = [token.created_at_ms, token.expires_at_ms, token.revoked_at_ms]
        table.add_row(token.id, Text(token.name), " ".join(token.scopes), *map(_minute, moments))
    Console().print(table)


@application.command()
def revoke(token_id: Annotated[str, typer.Argument(help="The id that `token list` shows.")]) -> None:
    """Revoke a token at once."""

    async def work() -> None:
        async with atto_ledger(administrative_settings()) as ledger:
            await ledger.tokens.revoke(OPERATOR, token_id)

    asyncio.run(work())
    typer.echo(f"revoked {token_id}")


def _duration_ms(text: str) -> int:
    found = re.fullmatch(r"([1-9]\d{0,5})([mhd])", text)
    if found is None:
        raise typer.BadParameter("--expires looks like 90d, 12h or 30m")
    return int(found[1]) * UNITS_MS[found[2]]


def _minute(moment_ms: int | None) -> str:
    """UTC, for example `2026-11-21 08:57Z`."""
    return "" if moment_ms is None else iso_instant(moment_ms)[:16].replace("T", " ") + "Z"
