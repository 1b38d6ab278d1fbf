"""`strongroom webhook`: the endpoints that are told of events."""

import asyncio
import json
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from strongroom.commands.context import (
    AsOperator,
    administrative_settings,
    named_ledger,
    operator,
    own_settings,
    prepared,
)
from strongroom.core.clock import iso_instant, parse_instant
from strongroom.core.terminal import minute, print_table
from strongroom.core.webhooks.administration import DAY_S, Created, EndpointChange, EndpointStatus
from strongroom.core.webhooks.document import as_document, event_as_document
from strongroom.core.webhooks.endpoint import Endpoint
from strongroom.core.webhooks.kinds import left_out
from strongroom.core.webhooks.queue import EventState, QueuedEvent
from strongroom.core.webhooks.sender import Answer
from strongroom.registry import LEDGERS

application = typer.Typer(
    help="Endpoints that are told of events: add, list, show, set, rotate, test, deliveries, replay, remove.",
    no_args_is_help=True,
)

NAMES = " or ".join(one.name for one in LEDGERS)
DEFAULT = LEDGERS[0].name
LedgerName = Annotated[str, typer.Option("--ledger", help=f"Whose events: {NAMES}.")]
Name = Annotated[str, typer.Argument(help="The endpoint's name or id.")]
Kinds = Annotated[
    list[str] | None,
    typer.Option("--event", help="A kind of event, or payment.* and the like; repeatable. Default: all."),
]
Wallets = Annotated[
    list[str] | None, typer.Option("--wallet", help="The events of this wallet alone; repeatable.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
SECRET_ONCE = "The receiver verifies with this secret, which is shown this once:"  # noqa: S105 - it announces one


@application.command()
def add(
    name: Annotated[str, typer.Argument(help="What the endpoint is called.")],
    url: Annotated[str, typer.Argument(help="Where events are posted to; shown in part from now on.")],
    event: Kinds = None,
    wallet: Wallets = None,
    ledger: LedgerName = DEFAULT,
    who: AsOperator = None,
) -> None:
    """Add an endpoint, and print its secret."""

    async def work() -> Created:
        async with prepared(ledger, makes=True) as running:
            return await running.webhooks.add(
                operator(who), name, url, kinds=event or (), wallets=wallet or ()
            )

    created = asyncio.run(work())
    typer.echo(f"added {name} ({created.endpoint.id})", err=True)
    _note_left_out(created.endpoint)
    typer.echo(SECRET_ONCE, err=True)
    typer.echo(created.secret)


@application.command("list")
def list_endpoints(ledger: LedgerName = DEFAULT, as_json: AsJson = False) -> None:
    """List the endpoints, and what waits for each."""

    async def work() -> list[EndpointStatus]:
        async with prepared(ledger) as running:
            return [*await running.webhooks.list()]

    found = asyncio.run(work())
    definition = named_ledger(ledger, [*LEDGERS])
    others = definition.other_receivers(own_settings(definition, administrative_settings([ledger])))
    if as_json:
        for one in found:
            typer.echo(json.dumps(as_document(one)))
        for variable, url in others.items():
            typer.echo(json.dumps({"variable": variable, "url": url}))
        return
    table = Table("endpoint", "id", "url", "state", "events", "wallets", "waiting", "dead", "trouble")
    for one in found:
        endpoint, queue = one.endpoint, one.queue
        texts = [endpoint.name, endpoint.id, endpoint.shown_url, endpoint.state.value]
        wanted = [", ".join(endpoint.wanted.kinds) or "all", ", ".join(endpoint.wanted.wallets) or "all"]
        trouble = endpoint.reason or queue.trouble or _left_out(endpoint)
        counts = [str(queue.waiting), str(queue.dead), trouble]
        table.add_row(*(Text(text) for text in (*texts, *wanted, *counts)))
    for variable, url in others.items():
        table.add_row(Text(variable), "", Text(url), "a variable", "in the original's form")
    print_table(table)


@application.command()
def show(name: Name, ledger: LedgerName = DEFAULT) -> None:
    """Show everything about an endpoint but its URL and its secrets, as JSON."""

    async def work() -> EndpointStatus:
        async with prepared(ledger) as running:
            return await running.webhooks.show(name)

    typer.echo(json.dumps(as_document(asyncio.run(work())), indent=2))


@application.command("set")
def change(
    name: Name,
    url: Annotated[str | None, typer.Option(help="A new URL.")] = None,
    event: Kinds = None,
    wallet: Wallets = None,
    every_wallet: Annotated[
        bool, typer.Option("--every-wallet", help="No wallet is named any more.")
    ] = False,
    enable: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Whether anything is sent and waits.")
    ] = None,
    ledger: LedgerName = DEFAULT,
    who: AsOperator = None,
) -> None:
    """Change an endpoint. What waits for it is tried at once."""
    wallets: list[str] | None = [] if every_wallet else wallet
    if url is None and event is None and wallets is None and enable is None:
        raise typer.BadParameter("say what to change: --url, --event, --wallet, --enable and the like")
    wanted = EndpointChange(url=url, kinds=event, wallets=wallets, is_active=enable)

    async def work() -> Endpoint:
        async with prepared(ledger) as running:
            return await running.webhooks.change(operator(who), name, wanted)

    changed = asyncio.run(work())
    typer.echo(f"changed {changed.name}")
    _note_left_out(changed)


def _left_out(endpoint: Endpoint) -> str:
    kinds = left_out(endpoint.wanted.kinds)
    return f"is not told of {' and '.join(kinds)}" if kinds else ""


def _note_left_out(endpoint: Endpoint) -> None:
    """Whoever waits for confirmations alone waits for ever for a payment that fails on the ledger."""
    if words := _left_out(endpoint):
        typer.echo(f"{endpoint.name} {words}: payments that the ledger has, without their effect", err=True)


@application.command()
def rotate(
    name: Name,
    overlap: Annotated[
        int, typer.Option(help="For so many seconds the old secret signs beside the new one.")
    ] = DAY_S,
    ledger: LedgerName = DEFAULT,
    who: AsOperator = None,
) -> None:
    """Give an endpoint a new secret, and print it."""

    async def work() -> Created:
        async with prepared(ledger) as running:
            return await running.webhooks.rotate(operator(who), name, overlap_s=overlap)

    created = asyncio.run(work())
    typer.echo(SECRET_ONCE, err=True)
    typer.echo(created.secret)


@application.command("test")
def send_test(name: Name, ledger: LedgerName = DEFAULT, who: AsOperator = None) -> None:
    """Send a signed event of the kind webhook.test, and show the answer. Status 1 when it is not taken."""

    async def work() -> Answer:
        async with prepared(ledger) as running:
            return await running.webhooks.test(operator(who), name)

    answer = asyncio.run(work())
    if answer.body:
        typer.echo(answer.body)
    if not answer.is_taken:
        typer.echo(f"not taken: {answer.trouble}", err=True)
        raise typer.Exit(1)
    typer.echo(f"taken: it answered with status {answer.status}")


@application.command()
def deliveries(
    name: Name,
    state: Annotated[list[EventState] | None, typer.Option(help="Default: all; repeatable.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    ledger: LedgerName = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List the events of an endpoint, the newest first."""

    async def work() -> list[QueuedEvent]:
        async with prepared(ledger) as running:
            states = state or list(EventState)
            return [*await running.webhooks.events(name, states=states, limit=limit)]

    found = asyncio.run(work())
    if as_json:
        for one in found:
            typer.echo(json.dumps(event_as_document(one)))
        return
    table = Table("event", "kind", "of", "since", "state", "attempts", "status", "trouble")
    for one in found:
        numbers = [str(one.attempts), "" if one.status is None else str(one.status)]
        texts: list[Any] = [one.id, one.kind, one.stream, minute(one.created_at_ms), one.state.value]
        table.add_row(*(Text(text) for text in (*texts, *numbers, one.trouble or "")))
    print_table(table)


@application.command()
def replay(
    name: Name,
    event: Annotated[str | None, typer.Option(help="The event of this id alone, delivered or dead.")] = None,
    since: Annotated[str | None, typer.Option(help="Those from this moment or day on alone.")] = None,
    delivered: Annotated[bool, typer.Option("--delivered", help="Delivered ones too.")] = False,
    ledger: LedgerName = DEFAULT,
    who: AsOperator = None,
) -> None:
    """Send dead events again, each with the id that it had."""
    try:
        since_ms = 0 if since is None else parse_instant(since)
    except ValueError as error:
        raise typer.BadParameter(f"--since {error}") from None

    async def work() -> int:
        async with prepared(ledger) as running:
            return await running.webhooks.replay(
                operator(who), name, event=event, since_ms=since_ms, delivered=delivered
            )

    since_text = "" if since is None else f" from {iso_instant(since_ms)} on"
    typer.echo(f"{asyncio.run(work())} events wait again{since_text}")


@application.command()
def remove(name: Name, ledger: LedgerName = DEFAULT, who: AsOperator = None) -> None:
    """Remove an endpoint, with what waits for it and what is dead."""

    async def work() -> EndpointStatus:
        async with prepared(ledger) as running:
            return await running.webhooks.remove(operator(who), name)

    removed = asyncio.run(work())
    typer.echo(
        f"removed {removed.endpoint.name}; {removed.queue.waiting} events waited, {removed.queue.dead} were dead"
    )
