"""`strongroom audit key|checkpoint|checkpoints|verify|prove|consistency|check`: what the audit trail proves."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from strongroom.commands.context import Administrator, administrative_settings, named_or_configured
from strongroom.core.errors import InvalidInput, NotFound, StrongroomError
from strongroom.core.intents.payments import parse_payment_id
from strongroom.core.ledger.contract import AnyLedger, Ledger
from strongroom.core.terminal import progress
from strongroom.core.transparency.checker import NotProven
from strongroom.core.transparency.checker import check as check_offline
from strongroom.core.transparency.checkpoint import Checkpoint, document_of, parse_checkpoint
from strongroom.core.transparency.file import read_checkpoints
from strongroom.core.transparency.inspection import Report
from strongroom.core.transparency.reading import MAX_PAGE
from strongroom.core.transparency.store import load_newest
from strongroom.registry import LEDGERS

NAMES = " or ".join(one.name for one in LEDGERS)
LedgerName = Annotated[
    str | None, typer.Option("--ledger", help=f"{NAMES}. Default: every ledger that is configured.")
]
OneLedger = Annotated[str, typer.Option("--ledger", help=f"{NAMES}.")]
Key = Annotated[str, typer.Option("--key", help="The public key, as `audit key` prints it.")]
T = TypeVar("T")
PATH = frozenset("/.\\")
"""Characters that paths have and receipts have not."""


def key(ledger: LedgerName = None) -> None:
    """Print the public key that checkpoints are signed with. Keep it where the database's administrator cannot change it."""

    async def work(running: Ledger) -> bytes:
        return running.checkpoints.public_key

    for definition, found in _of_each(ledger, work):
        typer.echo(found.hex() if ledger is not None else f"{definition.name} {found.hex()}")


def checkpoint(ledger: LedgerName = None) -> None:
    """Sign a checkpoint of everything that is committed now, and print it as a line of JSON. Where many rows are new, several."""

    async def work(running: Ledger) -> Sequence[Checkpoint]:
        with progress("checkpoints of rows") as advance:
            return await running.checkpoints.make(advance)

    for _, made in _of_each(ledger, work):
        for one in made:
            typer.echo(json.dumps(document_of(one)))


def checkpoints(
    ledger: OneLedger = LEDGERS[0].name,
    before: Annotated[
        int | None, typer.Option(min=1, help="Those with lower numbers, for the next page.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="The newest ones.")] = 50,
) -> None:
    """List the checkpoints that are stored, the newest first, as JSON lines."""

    async def work(running: Ledger) -> Sequence[Checkpoint]:
        load = partial(load_newest, ledger=ledger, before=before, limit=limit)
        return [one.checkpoint for one in await running.database.read(load)]

    for _, found in _of_each(ledger, work):
        for one in found:
            typer.echo(json.dumps(document_of(one)))


def verify(
    ledger: LedgerName = None,
    since: Annotated[
        list[str] | None,
        typer.Option(help="A checkpoint, or a file of them, that was kept elsewhere; may be repeated."),
    ] = None,
) -> None:
    """Check that the trail is whole and has everything that its checkpoints say. Status 1: each line says what is wrong."""
    names = {one.name for one in named_or_configured(ledger)}
    kept = [one for each in since or () for one in _kept(each, names)]
    settings = administrative_settings(None if ledger is None else [ledger])
    if (file := settings.checkpoints.file) is not None:
        in_file = read_checkpoints(file)
        kept += in_file
        for name in sorted(names - {one.ledger for one in in_file}):
            typer.echo(f"{file} has no checkpoint of {name}: nothing is compared with it", err=True)

    async def work(running: Ledger) -> Report:
        with progress(f"{running.definition.name} rows") as advance:
            return await running.inspection().run(kept, advance)

    failed = False
    for definition, report in _of_each(ledger, work):
        for finding in report.findings:
            failed = True
            typer.echo(f"{definition.name}: {finding.code}: {finding.detail}")
        for notice in report.notices:
            typer.echo(f"{definition.name}: {notice.code}: {notice.detail}")
        if not report.findings:
            typer.echo(f"{definition.name}: {report.summary}")
    if failed:
        raise typer.Exit(1)


def prove(
    payment: Annotated[
        str, typer.Argument(metavar="PAYMENT", help="Its id, as `strongroom payment` takes it.")
    ],
    ledger: LedgerName = None,
) -> None:
    """Print a receipt: proof that the trail has the payment's row, which `audit check` checks with the public key alone."""
    wanted = parse_payment_id(payment)
    away: StrongroomError | None = None
    for definition in named_or_configured(ledger):
        try:
            typer.echo(asyncio.run(_with(definition, lambda running: running.proofs.receipt(wanted))))
        except NotFound as error:
            away = away or error
        except StrongroomError as error:
            away = error
        else:
            return
    raise away or NotFound("No ledger is configured")


def consistency(
    earlier: Annotated[int, typer.Argument(help="The number of a checkpoint.")],
    later: Annotated[int, typer.Argument(help="The number of a later one.")],
    ledger: OneLedger = LEDGERS[0].name,
) -> None:
    """Print proof that a checkpoint continues an earlier one, for whoever keeps both and cannot read the database."""
    for _, proof in _of_each(ledger, lambda running: running.proofs.consistency(earlier, later)):
        typer.echo(json.dumps(proof))


def check(
    receipt: Annotated[
        str,
        typer.Argument(help="A receipt, a proof or a checkpoint; a file that has it; -: the standard input."),
    ],
    public_key: Key,
    payment: Annotated[str | None, typer.Option(help="The payment that the receipt must be of.")] = None,
) -> None:
    """Check a receipt offline, with the public key alone, and print what it proves. It needs no database."""
    try:
        known = bytes.fromhex(public_key)
    except ValueError:
        raise typer.BadParameter(
            "--key has 64 hexadecimal digits, as `strongroom audit key` prints it"
        ) from None
    wanted = None if payment is None else parse_payment_id(payment)
    try:
        found = check_offline(_text(receipt), known, wanted)
    except NotProven as error:
        raise InvalidInput(str(error), code="not_proven") from None
    typer.echo(json.dumps(found))


def _kept(text: str, ledgers: Collection[str]) -> Sequence[Checkpoint]:
    """Raises: InvalidInput, CheckpointFileUnusable, BadParameter."""
    if text.lstrip().startswith("{"):
        found: Sequence[Checkpoint] = [parse_checkpoint(text)]
    elif Path(text).is_file():
        found = read_checkpoints(Path(text))
    else:
        raise typer.BadParameter(f"--since {text!r} is neither a checkpoint nor a file")
    if not any(one.ledger in ledgers for one in found):
        raise InvalidInput(
            f"--since {text!r} has no checkpoint of {' or '.join(sorted(ledgers))}: nothing would be compared with it",
            code="invalid_checkpoint",
        )
    return found


def _text(receipt: str) -> str:
    if receipt == "-":
        return sys.stdin.read()
    try:
        return Path(receipt).read_text()
    except OSError:  # a receipt is too long for a name
        if PATH & {*receipt} and not receipt.lstrip().startswith("{"):
            raise typer.BadParameter(f"{receipt} is neither a receipt nor a file that can be read") from None
        return receipt


def _of_each(ledger: str | None, work: Callable[[Ledger], Awaitable[T]]) -> list[tuple[AnyLedger, T]]:
    return [(each, asyncio.run(_with(each, work))) for each in named_or_configured(ledger)]


async def _with(ledger: AnyLedger, work: Callable[[Ledger], Awaitable[Any]]) -> Any:
    async with Administrator().prepared(ledger) as running:
        return await work(running)
