"""`strongroom wallets` and `strongroom wallet`: what the ledgers' wallets are, and what they hold."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from strongroom.commands.context import Administrator, named_or_configured
from strongroom.commands.wallets.tables import show_events, show_parts, show_wallet, show_wallets
from strongroom.core.errors import NotFound, StrongroomError
from strongroom.core.ledger.browsing.browser import MAX_PAGE, WalletBrowser
from strongroom.core.ledger.browsing.documents import (
    event_document,
    part_document,
    wallet_document,
)
from strongroom.core.ledger.browsing.records import Page, WalletRecord
from strongroom.core.ledger.contract import AnyLedger
from strongroom.registry import LEDGERS

NAMES = " or ".join(one.name for one in LEDGERS)
MAX_LINES = 100_000
LedgerName = Annotated[
    str | None, typer.Option("--ledger", help=f"{NAMES}. Default: every ledger that is configured.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Limit = Annotated[int, typer.Option(min=1, max=MAX_LINES, help="At most so many lines.")]
T = TypeVar("T")
Read = Callable[[str, int], Awaitable[Page[T]]]


def wallets(
    ledger: LedgerName = None,
    search: Annotated[
        str, typer.Option(help="A part of the name, or exactly an account, an address or a key.")
    ] = "",
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """List the wallets of all ledgers with what they hold. Status 1 when a ledger's database does not answer."""
    found, is_away = list[tuple[str, WalletRecord]](), False
    has_more = False
    for definition in named_or_configured(ledger):
        try:
            page = asyncio.run(_list(definition, search, limit - len(found)))
        except StrongroomError as error:
            is_away = True
            typer.echo(f"{definition.name}: {error.message}", err=True)
        else:
            found += [(definition.name, one) for one in page.items]
            has_more = has_more or page.after is not None
    if as_json:
        for name, one in found:
            typer.echo(json.dumps(wallet_document(name, one)))
    else:
        show_wallets(found)
    _say_more(has_more=has_more)
    if is_away:
        raise typer.Exit(1)


def wallet(
    name: Annotated[str, typer.Argument(help="As `strongroom wallets` shows it.")],
    ledger: LedgerName = None,
    accounts: Annotated[
        bool, typer.Option("--accounts", help="Its accounts, addresses or keys too.")
    ] = False,
    history: Annotated[bool, typer.Option("--history", help="What happened to it, too.")] = False,
    asset: Annotated[
        str, typer.Option(help="The history of this asset. Default: of the ledger's coin.")
    ] = "",
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """Show a wallet: what it holds, and if asked for its accounts and its history. The same name may be on several ledgers."""
    is_found = False
    away: StrongroomError | None = None
    for definition in named_or_configured(ledger):
        try:
            asyncio.run(
                _tell(
                    definition,
                    name,
                    limit=limit,
                    asset=asset if history else None,
                    with_parts=accounts,
                    as_json=as_json,
                )
            )
        except NotFound:
            continue
        except StrongroomError as error:
            away = error
            typer.echo(f"{definition.name}: {error.message}", err=True)
        else:
            is_found = True
    if not is_found:
        raise away or NotFound(
            f"No ledger has a wallet {name!r}; `strongroom wallets` lists them", code="wallet_not_found"
        )
    if away is not None:
        raise typer.Exit(1)


async def _list(ledger: AnyLedger, search: str, limit: int) -> Page[WalletRecord]:
    async with Administrator().prepared(ledger) as running:
        browser: WalletBrowser = running.browser()
        return await _read_all(lambda after, count: browser.page(search, after, count), limit)


async def _tell(
    ledger: AnyLedger, name: str, *, limit: int, asset: str | None, with_parts: bool, as_json: bool
) -> None:
    """`asset` None: without the history."""
    async with Administrator().prepared(ledger) as running:
        browser: WalletBrowser = running.browser()
        found = await browser.show(name)
        parts = events = None
        if with_parts:
            parts = await _read_all(lambda after, count: browser.parts(name, after, count), limit)
        if asset is not None:
            events = await _read_all(lambda after, count: browser.history(name, asset, after, count), limit)
    if as_json:
        document = wallet_document(ledger.name, found)
        if parts is not None:
            document["accountList"] = [part_document(one) for one in parts.items]
        if events is not None:
            document["history"] = [event_document(one) for one in events.items]
        typer.echo(json.dumps(document))
    else:
        show_wallet(ledger.name, found)
        if parts is not None:
            show_parts(parts.items)
        if events is not None:
            show_events(events.items)
    _say_more(has_more=any(one is not None and one.after is not None for one in (parts, events)))


async def _read_all(read: Read[T], limit: int) -> Page[T]:
    """The first `limit` lines; what a page does not hold is read with the next one."""
    found, after = list[T](), ""
    while (room := limit - len(found)) > 0:
        page = await read(after, min(room, MAX_PAGE))
        found += page.items
        if page.after is None:
            return Page(items=found, after=None)
        after = page.after
    return Page(items=found, after=after)


def _say_more(*, has_more: bool) -> None:
    if has_more:
        typer.echo("there may be more: raise --limit", err=True)
