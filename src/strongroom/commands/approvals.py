"""`strongroom approvals`: the requests that people must approve before they are signed."""

import asyncio
import json
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from strongroom.commands.context import AsOperator, operator, prepared
from strongroom.core.guard.approvals.approval import OPEN, Approval, ApprovalState, needs
from strongroom.core.guard.approvals.document import as_document
from strongroom.core.terminal import minute, print_table
from strongroom.registry import LEDGERS

application = typer.Typer(
    help="Requests that wait for approvals: list, show, approve, refuse.", no_args_is_help=True
)

NAMES = " or ".join(one.name for one in LEDGERS)
DEFAULT = LEDGERS[0].name
LedgerName = Annotated[str, typer.Option("--ledger", help=f"Whose requests: {NAMES}.")]
Id = Annotated[str, typer.Argument(help="As `approvals list` and the answer to the request show it.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, one object a line.")]


@application.command("list")
def list_approvals(
    ledger: LedgerName = DEFAULT,
    every: Annotated[bool, typer.Option("--all", help="Those that have ended, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the requests that wait, the newest first."""

    async def work() -> list[Approval]:
        async with prepared(ledger) as running:
            return await running.approvals.list(list(ApprovalState) if every else OPEN)

    found = asyncio.run(work())
    if as_json:
        for one in found:
            typer.echo(json.dumps(as_document(one)))
        return
    table = Table("id", "state", "asked", "until", "by", "what", "approved by", "needs")
    for one in found:
        moments = [minute(one.asked_at_ms), minute(one.expires_at_ms)]
        said_yes = ", ".join(vote.principal for vote in one.votes)
        texts = [one.principal.name, _what(one), said_yes, needs(one.requirements)]
        table.add_row(one.id, one.state.value, *moments, *(Text(text) for text in texts))
    print_table(table)


@application.command()
def show(approval: Id, ledger: LedgerName = DEFAULT) -> None:
    """Show everything about a request, as JSON."""

    async def work() -> Approval:
        async with prepared(ledger) as running:
            return await running.approvals.show(approval)

    typer.echo(json.dumps(as_document(asyncio.run(work())), indent=2))


@application.command()
def approve(approval: Id, ledger: LedgerName = DEFAULT, name: AsOperator = None) -> None:
    """Approve a request. The running service carries it out when enough people have."""

    async def work() -> Approval:
        async with prepared(ledger) as running:
            return await running.approvals.approve(operator(name), approval)

    found = asyncio.run(work())
    done = found.state is not ApprovalState.PARKED
    typer.echo(f"approved by {len(found.votes)}" + ("" if done else f"; {needs(found.requirements)}"))


@application.command()
def refuse(
    approval: Id,
    reason: Annotated[str, typer.Option(help="Told to whoever asked.")],
    ledger: LedgerName = DEFAULT,
    name: AsOperator = None,
) -> None:
    """Refuse a request, which ends it."""

    async def work() -> Approval:
        async with prepared(ledger) as running:
            return await running.approvals.refuse(operator(name), approval, reason)

    asyncio.run(work())
    typer.echo("refused")


def _what(approval: Approval) -> str:
    terms = approval.terms
    paid = [f"{each['amountRaw']} to {each['destination']}" for each in terms.get("payments", ())]
    change = terms.get("change", {})
    of_change = change.get("name") or change.get("subject") or (change and "the ledger") or ""
    return f"{terms.get('kind', '')} {terms.get('wallet', '')} {', '.join(paid)}{of_change}"
