"""`strongroom payments` and `strongroom payment`: what was signed, by whom, and how far it has come."""

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from strongroom.commands.context import Administrator, named_or_configured
from strongroom.core.clock import parse_instant
from strongroom.core.errors import NotFound, StrongroomError
from strongroom.core.intents.intent import Outcome
from strongroom.core.intents.payments import (
    MAX_PAGE,
    PaymentFilter,
    PaymentRecord,
    document_of,
    newest_first,
    parse_payment_id,
)
from strongroom.core.ledger.contract import AnyLedger
from strongroom.core.terminal import minute, print_table
from strongroom.registry import BY_NAME, LEDGERS

NAMES = " or ".join(one.name for one in LEDGERS)
LedgerName = Annotated[
    str | None, typer.Option("--ledger", help=f"{NAMES}. Default: every ledger that is configured.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
STATES = ", ".join(one.value for one in Outcome)
MOMENT = "2026-11-21 or 2026-11-21T08:57:00Z"


def payments(
    ledger: LedgerName = None,
    wallet: Annotated[str | None, typer.Option(help="Of this wallet.")] = None,
    account: Annotated[str | None, typer.Option(help="Signed by this address.")] = None,
    state: Annotated[Outcome | None, typer.Option(case_sensitive=False, help=f"{STATES}.")] = None,
    kind: Annotated[str | None, typer.Option(help="In the ledger's word, for example SEND.")] = None,
    principal: Annotated[
        str | None, typer.Option("--by", help="Who asked, as the audit trail names it: token:NAME.")
    ] = None,
    rule: Annotated[str | None, typer.Option(help="Allowed by this rule.")] = None,
    request: Annotated[
        str | None, typer.Option("--request", help="Signed for the request with this id (X-Request-Id).")
    ] = None,
    stuck: Annotated[bool, typer.Option("--stuck", help="Open for longer than a minute.")] = False,
    since: Annotated[str | None, typer.Option(help=f"Signed then or later: {MOMENT}.")] = None,
    until: Annotated[str | None, typer.Option(help="Signed before then.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="The newest ones.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List what was signed, the newest first, with its state. Status 1 when a ledger's database does not answer."""
    wanted = PaymentFilter(
        wallet=wallet,
        account=account,
        state=state,
        kind=kind,
        principal=principal,
        rule=rule,
        request_id=request,
        is_stuck=stuck,
        since_ms=0 if since is None else _moment(since),
        until_ms=None if until is None else _moment(until),
    )
    found, failed = list[PaymentRecord](), False
    for definition in named_or_configured(ledger):
        try:
            found += asyncio.run(_page(definition, wanted, limit))
        except StrongroomError as error:
            failed = True
            typer.echo(f"{definition.name}: {error.message}", err=True)
    _show(newest_first(found)[:limit], as_json=as_json)
    if failed:
        raise typer.Exit(1)


def payment(
    payment_id: Annotated[str, typer.Argument(metavar="ID", help="Its hash, as the network writes it.")],
    ledger: LedgerName = None,
    as_json: AsJson = False,
) -> None:
    """Show one payment: what it pays, who asked for it, what allowed it, and where it stands still."""
    wanted = parse_payment_id(payment_id)
    found: PaymentRecord | None = None
    away: StrongroomError | None = None
    for definition in named_or_configured(ledger):
        try:
            found = found or asyncio.run(_get(definition, wanted))
        except NotFound:
            continue
        except StrongroomError as error:
            away = error
    if found is None:
        raise away or NotFound("No ledger has a payment with this id", code="payment_not_found")
    document = _document(found)
    if as_json:
        typer.echo(json.dumps(document))
        return
    table = Table("", "", show_header=False)
    for name, value in document.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        table.add_row(name, Text("" if value is None else shown))
    print_table(table)


async def _page(ledger: AnyLedger, wanted: PaymentFilter, limit: int) -> Sequence[PaymentRecord]:
    async with Administrator().prepared(ledger) as running:
        found: Sequence[PaymentRecord] = await running.payments.page(wanted, limit=limit)
        return found


async def _get(ledger: AnyLedger, payment_id: bytes) -> PaymentRecord:
    async with Administrator().prepared(ledger) as running:
        found: PaymentRecord = await running.payments.get(payment_id)
        return found


def _show(found: Sequence[PaymentRecord], *, as_json: bool) -> None:
    if as_json:
        for one in found:
            typer.echo(json.dumps(_document(one)))
        return
    table = Table(
        "id", "ledger", "state", "kind", "wallet", "amount raw", "to", "by", "rule", "signed", "reason"
    )
    for one in found:
        state = "stuck" if one.is_stuck else one.state.value
        words = [
            one.kind,
            one.wallet,
            one.amount_raw or "",
            one.destination or "",
            one.principal,
            one.rule or "",
        ]
        moments = [minute(one.created_at_ms), one.reason or ""]
        table.add_row(_network_id(one), one.ledger, state, *map(Text, [*words, *moments]))
    print_table(table)


def _document(one: PaymentRecord) -> dict[str, Any]:
    return document_of(one, _network_id(one))


def _network_id(one: PaymentRecord) -> str:
    return BY_NAME[one.ledger].network_id(one.id)


def _moment(text: str) -> int:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
