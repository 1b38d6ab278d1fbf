"""`strongroom doctor`: is everything that this installation needs there and in order?"""

import asyncio
from collections.abc import Awaitable, Callable

import typer
from rich.console import Console
from rich.table import Table

from strongroom.atto.gateway.local_worker import LocalWorker
from strongroom.atto.gateway.node import HttpNode
from strongroom.atto.gateway.remote_worker import RemoteWorker
from strongroom.atto.settings import AttoSettings
from strongroom.commands.context import administrative_settings, atto_ledger
from strongroom.core.audit import verify
from strongroom.core.clock import SystemClock
from strongroom.core.errors import StrongroomError
from strongroom.settings import Settings

Check = Callable[[], Awaitable[str]]


async def migrate_all(settings: Settings) -> None:
    """Migrates every configured ledger's database."""
    if settings.atto is not None:
        async with atto_ledger(settings):
            return


def doctor() -> None:
    """Check settings, database, audit trail, node and work."""
    settings = administrative_settings()
    if settings.atto is None:
        typer.echo("strongroom: no ledger is configured", err=True)
        raise typer.Exit(2)
    if not asyncio.run(_report(settings, settings.atto)):
        raise typer.Exit(1)


async def _report(settings: Settings, atto: AttoSettings) -> bool:
    checks: dict[str, Check] = {
        "atto database and audit trail": lambda: _database(settings),
        "atto node": lambda: _node(atto),
        "atto work": lambda: _work(atto),
    }
    table = Table("check", "result", "detail")
    healthy = True
    for name, check in checks.items():
        try:
            table.add_row(name, "[green]good[/]", await check())
        except (StrongroomError, OSError) as error:
            healthy = False
            table.add_row(name, "[red]bad[/]", str(error))
    Console().print(table)
    return healthy


async def _database(settings: Settings) -> str:
    async with atto_ledger(settings) as ledger:
        rows = await verify(ledger.database)
        return f"{ledger.database.url.render_as_string(hide_password=True)}, {rows} audit rows verified"


async def _node(atto: AttoSettings) -> str:
    node = HttpNode(atto.node_url, SystemClock())
    try:
        return f"{atto.node_url}, its clock differs by {await node.clock_offset_ms()} ms"
    finally:
        await node.close()


async def _work(atto: AttoSettings) -> str:
    if atto.work_url is None:
        worker = LocalWorker(atto.work_threads)
        engine = worker.engine
        await worker.close()
        return f"this machine, engine {engine}, {atto.work_threads} threads"
    remote = RemoteWorker(atto.work_url, min(atto.work_timeout_s, 60))
    try:
        await remote.work(atto.network, SystemClock().now_ms(), bytes(32))
    finally:
        await remote.close()
    return f"{atto.work_url} found work"
