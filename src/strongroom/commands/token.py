"""`strongroom token`: API tokens."""

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from strongroom.commands.context import Administrator, named_ledger, shown
from strongroom.core.clock import SystemClock
from strongroom.core.json_decoder import decode_json
from strongroom.core.ledger.contract import AnyLedger
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.tokens import NewToken, Token, Tokens
from strongroom.core.storage.database import Database
from strongroom.core.terminal import minute, print_table
from strongroom.registry import BY_NAME, LEDGERS

application = typer.Typer(help="API tokens: create, list, rotate, revoke.", no_args_is_help=True)

UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
ISSUING = [ledger for ledger in LEDGERS if ledger.scopes()]
DEFAULT = ISSUING[0].name
SCOPES_HELP = "A right, repeatable: " + "; ".join(
    f"{', '.join(ledger.scopes())}, {ledger.name}:* or *"
    if ledger.name == DEFAULT
    else f"with --ledger {ledger.name} {', '.join(ledger.scopes())}, {ledger.name}:* or *"
    for ledger in ISSUING
)

Ledger = Annotated[str, typer.Option(help=f"Whose token: {' or '.join(one.name for one in ISSUING)}.")]
TokenId = Annotated[str, typer.Argument(help="The id that `token list` shows.")]


def create(
    name: Annotated[str, typer.Argument(help="Who will use it; it appears in the audit trail.")],
    scope: Annotated[list[str], typer.Option(help=f"{SCOPES_HELP}.")],
    expires: Annotated[str | None, typer.Option(help="For example 90d, 12h, 30m. Default: never.")] = None,
    ledger: Ledger = DEFAULT,
    **narrowed: Any,
) -> None:
    """Create a token and print it, once."""
    _check_scopes(ledger, scope)
    expires_at_ms = None if expires is None else SystemClock().now_ms() + _duration_ms(expires)
    limits = _limits(ledger, narrowed)

    async def work() -> tuple[NewToken, str]:
        async with _tokens(ledger, makes=True) as (tokens, database):
            return await tokens.create(OPERATOR, name, scope, expires_at_ms, limits), shown(database)

    _show(*asyncio.run(work()))


def _limits(ledger: str, given: Mapping[str, Any]) -> str:
    """As the ledger stores them.

    Raises:
        BadParameter: one of the options is for the tokens of another ledger.
    """
    own = _options(BY_NAME[ledger])
    foreign = [one for one, value in given.items() if one not in own and value not in (None, False, [])]
    if foreign:
        options = ", ".join(map(_option, foreign))
        limited = ", ".join(one.name for one in ISSUING if set(foreign) & _options(one).keys())
        theirs = " and ".join(["scopes", "--expires", *(_option(one) for one in own)])
        raise typer.BadParameter(
            f"limits are for --ledger {limited}: {options}; tokens of {ledger} have {theirs}"
        )
    limit = BY_NAME[ledger].token_limits()
    return "" if limit is None else limit(**{name: given[name] for name in own})


def _option(parameter: str) -> str:
    return "--" + parameter.replace("_", "-")


def _options(ledger: AnyLedger) -> Mapping[str, inspect.Parameter]:
    """Those of `token create` that narrow a token of this ledger."""
    limit = ledger.token_limits()
    return {} if limit is None else inspect.signature(limit).parameters


def _with_limits(command: Callable[..., None]) -> Callable[..., None]:
    """The command with every ledger's options: Typer reads them from the signature."""
    signature = inspect.signature(command)
    own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    options = {name: option for ledger in ISSUING for name, option in _options(ledger).items()}
    parameters = [
        *own,
        *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in options.values()),
    ]
    changed: Any = command
    changed.__signature__ = signature.replace(parameters=parameters)
    return command


application.command()(_with_limits(create))


@application.command("list")
def list_tokens(ledger: Ledger = DEFAULT) -> None:
    """List tokens, without their secrets."""

    async def work() -> list[Token]:
        async with _tokens(ledger) as (tokens, _):
            return await tokens.list()

    table = Table()
    table.add_column("id", no_wrap=True)
    headings = ["name", "scopes", "created", "expires", "revoked"]
    limited = bool(_options(named_ledger(ledger, ISSUING)))
    for heading in [*headings, "limits"] if limited else headings:
        table.add_column(heading, overflow="fold")
    for token in asyncio.run(work()):
        moments = [token.created_at_ms, token.expires_at_ms, token.revoked_at_ms]
        narrowed = [Text(_readable(token.limits))] if limited else []
        table.add_row(token.id, Text(token.name), "\n".join(token.scopes), *map(minute, moments), *narrowed)
    print_table(table)


def _readable(limits: str) -> str:
    """A line for each."""
    document: dict[str, Any] = decode_json(limits) if limits else {}
    return "\n".join(
        f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in document.items()
    )


@application.command()
def rotate(token_id: TokenId, ledger: Ledger = DEFAULT) -> None:
    """Give a token another secret and print it, once. The old one ends at once."""

    async def work() -> tuple[NewToken, str]:
        async with _tokens(ledger) as (tokens, database):
            return await tokens.rotate(OPERATOR, token_id), shown(database)

    _show(*asyncio.run(work()))


@application.command()
def revoke(token_id: TokenId, ledger: Ledger = DEFAULT) -> None:
    """Revoke a token at once."""

    async def work() -> None:
        async with _tokens(ledger) as (tokens, _):
            await tokens.revoke(OPERATOR, token_id)

    asyncio.run(work())
    typer.echo(f"revoked {token_id}")


@asynccontextmanager
async def _tokens(ledger: str, *, makes: bool = False) -> AsyncIterator[tuple[Tokens, Database]]:
    definition = named_ledger(ledger, ISSUING)
    async with Administrator().prepared(definition, makes=makes) as running:
        yield running.tokens, running.database


def _check_scopes(ledger: str, scopes: list[str]) -> None:
    known = named_ledger(ledger, ISSUING).scopes()
    unknown = [one for one in scopes if one not in known and one not in {"*", f"{ledger}:*"}]
    if unknown:
        raise typer.BadParameter(
            f"unknown scope {', '.join(unknown)}; there are {', '.join(known)}, {ledger}:* and *"
        )


def _show(token: NewToken, database: str) -> None:
    typer.echo(token.secret)
    typer.echo(f"Keep it: it is not shown again. Its id is {token.id}, in {database}.", err=True)


def _duration_ms(text: str) -> int:
    found = re.fullmatch(r"([1-9]\d{0,5})([mhd])", text)
    if found is None:
        raise typer.BadParameter("--expires looks like 90d, 12h or 30m")
    return int(found[1]) * UNITS_MS[found[2]]
