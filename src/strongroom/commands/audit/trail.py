"""`strongroom audit show|export`: the record of who did what."""

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from strongroom.commands.context import administrative_settings, named_or_configured
from strongroom.commands.installed import installed
from strongroom.core.clock import iso_instant, parse_instant
from strongroom.core.errors import StrongroomError
from strongroom.core.ledger.contract import AnyLedger
from strongroom.core.ledger.installed import Installed, looking
from strongroom.core.storage.schema import require_current
from strongroom.core.terminal import print_table, progress
from strongroom.core.transparency.reading import MAX_PAGE, AuditFilter, AuditRow, TrailReader, document_of
from strongroom.registry import LEDGERS

NAMES = " or ".join(one.name for one in LEDGERS)
MOMENT = "2026-11-21 or 2026-11-21T08:57:00Z"
Ledger = Annotated[
    str | None, typer.Option("--ledger", help=f"{NAMES}. Default: every ledger that is configured.")
]
AsPrincipal = Annotated[
    str | None, typer.Option("--by", help="Done by this principal: token:NAME, operator:NAME.")
]
Action = Annotated[
    str | None, typer.Option(help="For example sign or token.create; token: all that begin with token.")
]
Subject = Annotated[str | None, typer.Option(help="What it was done to: an address, a name, an id.")]
Wallet = Annotated[str | None, typer.Option(help="This wallet, its keys, and accounts that signed for it.")]
Since = Annotated[str | None, typer.Option(help=f"Done then or later: {MOMENT}.")]
Until = Annotated[str | None, typer.Option(help="Done before then.")]


def show(
    ledger: Ledger = None,
    by: AsPrincipal = None,
    action: Action = None,
    subject: Subject = None,
    wallet: Wallet = None,
    since: Since = None,
    until: Until = None,
    before: Annotated[
        int | None, typer.Option(min=1, help="Rows with lower numbers, for the next page; with --ledger.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="The newest ones.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show rows of the audit trail, the newest first. Status 1 when a ledger's database does not answer."""
    if before is not None and ledger is None:
        raise typer.BadParameter("--before needs --ledger: each ledger numbers its own rows")
    wanted = _filter(by=by, action=action, subject=subject, wallet=wallet, since=since, until=until)
    found, failed = list[AuditRow](), False
    for one in _installed(ledger):
        try:
            found += asyncio.run(_page(one, wanted, before, limit))
        except StrongroomError as error:
            failed = True
            typer.echo(f"{one.ledger}: {error.message}", err=True)
    found.sort(key=lambda row: (-row.at_ms, row.ledger, -row.sequence))
    _print(found[:limit], as_json=as_json)
    if failed:
        raise typer.Exit(1)


def export(
    ledger: Ledger = None,
    by: AsPrincipal = None,
    action: Action = None,
    subject: Subject = None,
    wallet: Wallet = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """Print the audit trail, the oldest row first, as JSON lines. It may be long."""
    wanted = _filter(by=by, action=action, subject=subject, wallet=wallet, since=since, until=until)
    for one in _installed(ledger):
        asyncio.run(_export(one, wanted))


async def _page(one: Installed, wanted: AuditFilter, before: int | None, limit: int) -> Sequence[AuditRow]:
    async with looking(one) as database:
        await require_current(database, one.revisions)
        return await TrailReader(one.ledger, database).page(wanted, before=before, limit=limit)


async def _export(one: Installed, wanted: AuditFilter) -> None:
    async with looking(one) as database:
        await require_current(database, one.revisions)
        with progress(f"{one.ledger} rows") as advance:
            async for row in TrailReader(one.ledger, database).stream(wanted, advance):
                sys.stdout.write(json.dumps(document_of(row), ensure_ascii=False) + "\n")


def _print(found: Sequence[AuditRow], *, as_json: bool) -> None:
    if as_json:
        for row in found:
            typer.echo(json.dumps(document_of(row), ensure_ascii=False))
        return
    table = Table("at", "ledger", "number", "by", "action", "subject", "details")
    for row in found:
        details = json.dumps(row.details, ensure_ascii=False) if row.details else ""
        texts = [row.principal, row.action, row.subject, details]
        table.add_row(iso_instant(row.at_ms), row.ledger, str(row.sequence), *map(Text, texts))
    print_table(table)


def _installed(ledger: str | None) -> list[Installed]:
    """The databases of the named ledger, or of all that are configured."""
    chosen: list[AnyLedger] = named_or_configured(ledger)
    names = {one.name for one in chosen}
    settings = administrative_settings(None if ledger is None else [ledger])
    return [one for one in installed(settings) if one.ledger in names]


def _filter(
    *,
    by: str | None,
    action: str | None,
    subject: str | None,
    wallet: str | None,
    since: str | None,
    until: str | None,
) -> AuditFilter:
    return AuditFilter(
        principal=by,
        action=action,
        subject=subject,
        wallet=wallet,
        since_ms=0 if since is None else _moment(since),
        until_ms=None if until is None else _moment(until),
    )


def _moment(text: str) -> int:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
