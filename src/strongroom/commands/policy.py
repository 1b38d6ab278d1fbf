"""`strongroom policy`: the rules that decide what is signed."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from strongroom.commands.context import AsOperator, operator, prepared
from strongroom.commands.prove import prove
from strongroom.core.clock import SystemClock, iso_instant
from strongroom.core.guard.administration import StoredRule
from strongroom.core.guard.dry_run import Decision, Question
from strongroom.core.guard.parsing import is_amount
from strongroom.core.guard.rule import as_document
from strongroom.core.guard.state import Freeze
from strongroom.core.terminal import minute, print_table
from strongroom.registry import LEDGERS

application = typer.Typer(
    help="Rules for what is signed: list, add, remove, test, prove, history, freezes.", no_args_is_help=True
)
application.command("prove")(prove)

NAMES = " or ".join(one.name for one in LEDGERS)
LedgerName = Annotated[str, typer.Option("--ledger", help=f"Whose rules: {NAMES}.")]
RuleName = Annotated[str, typer.Argument(help="What the rule is called, in messages too.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
DEFAULT = LEDGERS[0].name


@application.command("list")
def list_rules(ledger: LedgerName = DEFAULT, as_json: AsJson = False) -> None:
    """List the rules that count now or later."""
    _show(asyncio.run(_rules(ledger, ended=False)), as_json=as_json)


@application.command()
def history(ledger: LedgerName = DEFAULT, as_json: AsJson = False) -> None:
    """List every rule that there ever was, and who added and removed it."""
    _show(asyncio.run(_rules(ledger, ended=True)), as_json=as_json)


@application.command()
def freezes(ledger: LedgerName = DEFAULT, as_json: AsJson = False) -> None:
    """List what is frozen now, since when, by whom and why."""

    async def work() -> list[Freeze]:
        async with prepared(ledger) as running:
            return await running.rules.freezes()

    frozen = asyncio.run(work())
    if as_json:
        for one in frozen:
            typer.echo(json.dumps(msgspec.to_builtins(one)))
        return
    table = Table("frozen", "since", "by", "reason")
    for one in frozen:
        table.add_row(Text(one.title), minute(one.frozen_at_ms), Text(one.frozen_by), Text(one.reason))
    print_table(table)


@application.command()
def add(
    name: RuleName,
    document: Annotated[str, typer.Argument(help="A file with the rule in JSON; - reads standard input.")],
    ledger: LedgerName = DEFAULT,
    who: AsOperator = None,
) -> None:
    """Add a rule. One that denies counts at once."""
    text = sys.stdin.read() if document == "-" else _text_of(Path(document))

    async def work() -> StoredRule:
        async with prepared(ledger, makes=True) as running:
            return await running.rules.add(operator(who), name, text)

    rule = asyncio.run(work())
    later = rule.starts_at_ms > rule.added_at_ms
    typer.echo(f"added {name}" + (f"; it counts from {iso_instant(rule.starts_at_ms)} on" if later else ""))


@application.command()
def remove(name: RuleName, ledger: LedgerName = DEFAULT, who: AsOperator = None) -> None:
    """End a rule. One that denies ends after STRONGROOM_POLICY_DELAY_SECONDS."""

    async def work() -> StoredRule:
        async with prepared(ledger) as running:
            return await running.rules.remove(operator(who), name)

    rule = asyncio.run(work())
    later = rule.state(SystemClock().now_ms()) != "ended"
    ends = f"; it counts until {iso_instant(rule.ends_at_ms)}" if later and rule.ends_at_ms else ""
    typer.echo(f"removed {name}{ends}")


@application.command("test")
def ask(
    kind: Annotated[str, typer.Option(help="What would be signed, in the ledger's word.")],
    ledger: LedgerName = DEFAULT,
    principal: Annotated[
        str, typer.Option("--as", help="Who would ask, as the audit trail names it.")
    ] = "operator",
    wallet: Annotated[str, typer.Option(help="Name of the wallet.")] = "",
    account: Annotated[str, typer.Option(help="Address that would sign.")] = "",
    amount_raw: Annotated[str, typer.Option(help="In the ledger's smallest unit.")] = "0",
    destination: Annotated[str | None, typer.Option("--to", help="Address that would be paid.")] = None,
    source: Annotated[str, typer.Option("--from", help="Address that the request would come from.")] = "",
    fact: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, repeatable, for example netuid=1.")
    ] = None,
) -> None:
    """Say what would be decided now, by which rule and why. Status 1 when it would be refused. Nothing is counted."""
    if not is_amount(amount_raw):
        raise typer.BadParameter("--amount-raw is a whole number from 0 to 2^256-1")
    question = Question(
        kind=kind,
        principal=principal,
        wallet=wallet,
        account=account,
        amount_raw=amount_raw,
        destination=destination,
        source=source,
        facts=dict(_fact(one) for one in fact or ()),
    )

    async def work() -> Decision:
        async with prepared(ledger) as running:
            return await running.dry_run.decide(question)

    decision = asyncio.run(work())
    if not decision.is_allowed:
        typer.echo(f"refused ({decision.code}): {decision.reason}")
        raise typer.Exit(1)
    typer.echo(decision.reason)


async def _rules(ledger: str, *, ended: bool) -> list[StoredRule]:
    async with prepared(ledger) as running:
        return await running.rules.rules(ended=ended)


def _show(rules: list[StoredRule], *, as_json: bool) -> None:
    now_ms = SystemClock().now_ms()
    if as_json:
        for one in rules:
            typer.echo(
                json.dumps(
                    {**msgspec.to_builtins(one), "rule": as_document(one.rule), "state": one.state(now_ms)}
                )
            )
        return
    table = Table("rule", "state", "since", "until", "added by", "removed by", "document")
    for one in rules:
        moments = [minute(one.starts_at_ms), minute(one.ends_at_ms)]
        people = [Text(one.added_by), Text(one.removed_by or "")]
        document = Text(json.dumps(as_document(one.rule)))
        table.add_row(Text(one.name), one.state(now_ms), *moments, *people, document)
    print_table(table)


def _fact(text: str) -> tuple[str, str | int]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"--fact looks like netuid=1, not {text!r}")
    return name, int(value) if value.isascii() and value.isdigit() else value


def _text_of(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} cannot be read: {error}") from None
