"""`strongroom payments` and `strongroom payment`: what was signed, by whom, and how far it has come."""

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from strongroom.commands.context import Administrator, named_or_configured
from strongroom.core.clock import SystemClock, parse_instant
from strongroom.core.errors import NotFound, StrongroomError
from strongroom.core.guard.approvals.approval import ApprovalState
from strongroom.core.intents.execution import ExecutionState
from strongroom.core.intents.intent import Outcome
from strongroom.core.intents.payments import (
    MAX_PAGE,
    PaymentFilter,
    PaymentRecord,
    document_of,
    newest_first,
)
from strongroom.core.ledger.contract import AnyLedger
from strongroom.core.ledger.life.facts import Facts, Life
from strongroom.core.ledger.life.reading import find_lives
from strongroom.core.terminal import minute, print_table, second
from strongroom.registry import BY_NAME, LEDGERS

NAMES = " or ".join(one.name for one in LEDGERS)
LedgerName = Annotated[
    str | None, typer.Option("--ledger", help=f"{NAMES}. Default: every ledger that is configured.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
WAITING = "WAITING"
"""In place of a state, of what is not signed: it waits for approval, or ended without it."""
SPENT = "SPENT"
"""The same, of what was signed or given out after approval, and is no payment that the service keeps."""
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
    failed: Annotated[
        bool, typer.Option("--failed", help="On the ledger, but what it asks for failed there.")
    ] = False,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="On the ledger, but nobody can tell what it did there.")
    ] = False,
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
        execution=_execution(failed=failed, unverified=unverified),
        kind=kind,
        principal=principal,
        rule=rule,
        request_id=request,
        is_stuck=stuck,
        since_ms=0 if since is None else _moment(since),
        until_ms=None if until is None else _moment(until),
    )
    found, is_away = list[PaymentRecord](), False
    for definition in named_or_configured(ledger):
        try:
            found += asyncio.run(_page(definition, wanted, limit))
        except StrongroomError as error:
            is_away = True
            typer.echo(f"{definition.name}: {error.message}", err=True)
    _show(newest_first(found)[:limit], as_json=as_json)
    if is_away:
        raise typer.Exit(1)


def payment(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Its hash, the X-Request-Id or Idempotency-Key of its request, or the approval that it waits for.",
        ),
    ],
    ledger: LedgerName = None,
    as_json: AsJson = False,
) -> None:
    """Tell a payment's life: who asked, what allowed it, when it was signed, offered and confirmed, who was told, and what is next."""
    found = list[Life]()
    away: StrongroomError | None = None
    for definition in named_or_configured(ledger):
        try:
            found += asyncio.run(_lives(definition, name))
        except NotFound:
            continue
        except StrongroomError as error:
            away = error
    if not found:
        raise away or NotFound("No ledger has a payment with this id", code="payment_not_found")
    for one in found:
        if as_json:
            document = one.document
            known = document["payment"] or {
                "id": one.facts.network_id or None,
                "ledger": document["ledger"],
                "state": SPENT if _is_spent(one.facts) else WAITING,
            }
            typer.echo(json.dumps({**known, "approval": document["approval"], "life": document["life"]}))
        else:
            _tell(one)


async def _page(ledger: AnyLedger, wanted: PaymentFilter, limit: int) -> Sequence[PaymentRecord]:
    async with Administrator().prepared(ledger) as running:
        found: Sequence[PaymentRecord] = await running.payments.page(wanted, limit=limit)
        return found


async def _lives(ledger: AnyLedger, name: str) -> Sequence[Life]:
    async with Administrator().prepared(ledger) as running:
        return await find_lives(running, name, SystemClock().now_ms())


def _is_spent(facts: Facts) -> bool:
    return facts.approval is not None and facts.approval.state is ApprovalState.SPENT


def _tell(life: Life) -> None:
    facts = life.facts
    if (payment := facts.payment) is not None:
        state = _state(payment)
        amount = "" if payment.amount_raw is None else f", {payment.amount_raw} raw"
        whom = "" if payment.destination is None else f" to {payment.destination}"
        typer.echo(f"{facts.ledger} {payment.kind} {facts.network_id}: {state}{amount}{whom}")
        typer.echo(f"wallet {payment.wallet or '?'}, account {payment.account}")
    elif facts.approval is not None:
        state = "ended" if _is_spent(facts) else "not signed"
        typer.echo(f"{facts.ledger} {facts.approval.terms.get('kind', '')}: {state}, {facts.approval.id}")
    table = Table("UTC", "", "", box=None)
    for step in life.steps:
        table.add_row(second(step.at_ms), step.word.value, Text(step.text))
    print_table(table)


def _show(found: Sequence[PaymentRecord], *, as_json: bool) -> None:
    if as_json:
        for one in found:
            typer.echo(json.dumps(_document(one)))
        return
    table = Table(
        "id", "ledger", "state", "kind", "wallet", "amount raw", "to", "by", "rule", "signed", "reason"
    )
    for one in found:
        state = _state(one)
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


def _execution(*, failed: bool, unverified: bool) -> ExecutionState | None:
    if failed and unverified:
        raise typer.BadParameter("ask for --failed or for --unverified")
    if failed:
        return ExecutionState.FAILED
    return ExecutionState.UNKNOWN if unverified else None


def _state(one: PaymentRecord) -> str:
    """In a word, for people: what calls for a look stands in place of the state."""
    if one.is_stuck:
        return "stuck"
    match one.execution:
        case ExecutionState.FAILED:
            return "failed"
        case ExecutionState.UNKNOWN:
            return "unverified"
        case _:
            return one.state.value


def _document(one: PaymentRecord) -> dict[str, Any]:
    return document_of(one, _network_id(one))


def _network_id(one: PaymentRecord) -> str:
    return BY_NAME[one.ledger].network_id(one.id)


def _moment(text: str) -> int:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
