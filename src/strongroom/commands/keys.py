"""`strongroom keys`: the key-encryption key is changed, and an operator decides about sealed rows that the service refuses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, TypeVar

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
from strongroom.commands.installed import require_installed
from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.ledger.keys.backends import opened_backends
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.custody.backends import KeySupply
from strongroom.core.security.custody.rewrapping import Rewrapped, rewrap_keys
from strongroom.core.security.custody.rotation import Plan, Rotated, Rotation
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.keys.versions import KeyVersion
from strongroom.core.security.repair import ExaminedRow, Repair
from strongroom.core.storage.database import Database
from strongroom.core.terminal import minute, print_table, progress
from strongroom.core.transparency.store import last_for_restart
from strongroom.registry import LEDGERS

application = typer.Typer(
    help="Change the key-encryption key. Look at sealed rows that do not open or were altered, accept or abandon them.",
    no_args_is_help=True,
)

T = TypeVar("T")

RESTARTED = (
    "the secret of the audit trail is lost too: the trail begins anew, and earlier rows cannot be verified any more"
    " (strongroom audit verify --ledger {ledger}). Look at tokens and rules now: strongroom rows list {ledger}"
)
SEALING = [ledger for ledger in LEDGERS if ledger.holdings() is not None]

Ledger = Annotated[str, typer.Argument(help=f"{' or '.join(one.name for one in SEALING)}.")]
Names = Annotated[list[str] | None, typer.Argument(help="Wallets, or keys as WALLET/HOTKEY.")]
All = Annotated[bool, typer.Option("--all", help="Every row that it concerns.")]


@application.command("list")
def list_rows(ledger: Ledger) -> None:
    """List every sealed row and what is wrong with it. Status 1 when something is."""

    async def work(repair: Repair) -> list[ExaminedRow]:
        return await repair.look()

    examined = asyncio.run(_with(ledger, work))
    table = Table("row", "state")
    for one in examined:
        unbound = "" if one.is_bound else ", and the next start of the service binds it"
        table.add_row(Text(one.row.name), Text(one.words or f"good{unbound}"))
    print_table(table)
    versions = asyncio.run(_rotating(ledger, _count))
    counted = Table("version", "state", "since", "rows")
    for version, rows in versions:
        counted.add_row(str(version.version), version.state, minute(version.created_at_ms), str(rows))
    print_table(counted)
    if any(one.words for one in examined):
        raise typer.Exit(1)


@application.command()
def rotate(
    ledger: Ledger,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
    name: AsOperator = None,
) -> None:
    """Change the key-encryption key while the service runs, or go on with a change that was interrupted."""

    async def plan(rotation: Rotation) -> Plan:
        return await rotation.plan()

    async def run(rotation: Rotation) -> Rotated:
        with progress("sealed anew") as advance:
            return await rotation.run(operator(name), advance)

    if dry_run:
        _say_plan(asyncio.run(_rotating(ledger, plan)))
        return
    done = asyncio.run(_rotating(ledger, run))
    typer.echo(f"version {done.version} is active; {done.rows} rows were sealed anew")
    if done.left:
        typer.echo(
            f"{len(done.left)} rows still need an older version, because they are refused: {', '.join(done.left)}."
            f" Accept or abandon them (strongroom keys list {ledger}), then run this command again",
            err=True,
        )
        raise typer.Exit(1)
    typer.echo("nothing needs the older versions any more: remove the old key where it was given")


@application.command()
def rewrap(ledger: Ledger, name: AsOperator = None) -> None:
    """Have the backend wrap the key anew, under the newest version of its own key. The service may run."""
    for done in asyncio.run(_rewrapped(ledger, operator(name))):
        typer.echo(f"version {done.version} is wrapped anew by {done.backend}")


async def _rewrapped(ledger: str, principal: Principal) -> Sequence[Rewrapped]:
    definition = named_ledger(ledger, SEALING)
    async with prepared(definition.name) as running:
        custody = running.custody
        assert custody is not None  # noqa: S101 - for the type checker: the ledger is one of SEALING
        await custody.open()
        return await rewrap_keys(custody.keeping, running.audit, principal)


def _say_plan(plan: Plan) -> None:
    begin = "goes on with" if plan.goes_on else "makes active"
    typer.echo(f"{begin} version {plan.version}; {plan.rows} rows are to be sealed anew")
    for one in plan.replicas:
        typer.echo(f"process {one.name} has the versions {', '.join(map(str, sorted(one.versions)))}")
    if plan.without_key:
        typer.echo(f"without the next key: {', '.join(plan.without_key)}", err=True)
        raise typer.Exit(1)


async def _count(rotation: Rotation) -> list[tuple[KeyVersion, int]]:
    counts = await rotation.needs()
    return [(one, counts.get(one.version, 0)) for one in await rotation.versions()]


async def _rotating(ledger: str, work: Callable[[Rotation], Awaitable[T]]) -> T:
    definition = named_ledger(ledger, SEALING)
    async with prepared(definition.name) as running:
        custody = running.custody
        assert custody is not None  # noqa: S101 - for the type checker: the ledger is one of SEALING
        await custody.open()
        return await work(custody.rotation())


@application.command()
def accept(ledger: Ledger, names: Names = None, every: All = False) -> None:
    """Take rows as they stand, after you have made sure of them: the original changed them, or the key was changed."""
    chosen = _chosen(names, every=every)

    async def work(repair: Repair) -> list[str]:
        return await repair.accept(chosen)

    for name in asyncio.run(_with(ledger, work)):
        typer.echo(f"accepted {name}")


@application.command()
def abandon(ledger: Ledger, names: Names = None, every: All = False) -> None:
    """Give up what does not open, because its key is lost: a wallet is locked, of a key the address is kept."""
    chosen = _chosen(names, every=every)

    async def work(repair: Repair) -> list[str]:
        return await repair.abandon(chosen)

    for name in asyncio.run(_with(ledger, work)):
        typer.echo(f"abandoned {name}")


def _chosen(names: list[str] | None, *, every: bool) -> list[str] | None:
    if bool(names) == every:
        raise typer.BadParameter("name rows, or --all")
    return None if every else names


async def _with(ledger: str, work: Callable[[Repair], Awaitable[T]]) -> T:
    async with _repair(ledger) as repair:
        done = await work(repair)
        if repair.has_restarted:
            typer.echo(RESTARTED.format(ledger=ledger), err=True)
        return done


@asynccontextmanager
async def _repair(ledger: str) -> AsyncIterator[Repair]:
    definition = named_ledger(ledger, SEALING)
    settings = administrative_settings([ledger])
    await require_installed(settings, definition)
    own, holdings = own_settings(definition, settings), definition.holdings()
    assert holdings is not None  # noqa: S101 - for the type checker: the ledger is one of SEALING
    database = Database(own.database)
    try:
        clock = SystemClock()
        async with opened_backends(own.key) as backends:
            yield Repair(
                KeySupply(source=own.key, backends=backends),
                database,
                holdings,
                Audit(clock, TrailKey()),
                partial(last_for_restart, ledger=definition.name),
                clock=clock,
                entropy=SystemEntropy(),
            )
    finally:
        await database.close()
