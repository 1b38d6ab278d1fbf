"""`strongroom doctor`: is everything that this installation needs there and in order?"""

import asyncio
from collections.abc import Awaitable, Callable

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from strongroom.atto.gateway.local_worker import LocalWorker
from strongroom.atto.gateway.node import HttpNode
from strongroom.atto.gateway.remote_worker import RemoteWorker
from strongroom.atto.holdings import WalletHoldings
from strongroom.atto.protocol import Network
from strongroom.atto.settings import AttoSettings
from strongroom.commands.bittensor_doctor import bittensor_checks
from strongroom.commands.context import administrative_settings, atto_ledger, hathor_ledger, shown
from strongroom.core.audit import verify
from strongroom.core.clock import SystemClock
from strongroom.core.errors import StrongroomError, Unavailable
from strongroom.core.security.holdings import inspect_holdings
from strongroom.hathor.gateway.events import HttpEventNode
from strongroom.hathor.settings import HathorSettings
from strongroom.settings import Settings

WORK_TIMEOUT_S = 60

Check = Callable[[], Awaitable[str]]


def doctor() -> None:
    """Check database, audit trail, wallet keys, node and work. It changes nothing but the database's schema."""
    settings = administrative_settings()
    if not asyncio.run(_report(_checks(settings))):
        raise typer.Exit(1)


def _checks(settings: Settings) -> dict[str, Check]:
    """What there is to check, by its name."""
    checks: dict[str, Check] = {}
    if settings.atto is not None:
        checks |= _atto_checks(settings, settings.atto)
    if settings.hathor is not None:
        checks |= _hathor_checks(settings, settings.hathor)
    if settings.bittensor is not None:
        checks |= bittensor_checks(settings, settings.bittensor)
    return checks


def _hathor_checks(settings: Settings, hathor: HathorSettings) -> dict[str, Check]:
    return {
        "hathor database": lambda: _hathor_database(settings),
        "hathor node": lambda: _hathor_node(hathor),
    }


def _atto_checks(settings: Settings, atto: AttoSettings) -> dict[str, Check]:
    return {
        "atto database": lambda: _database(settings),
        "atto audit trail": lambda: _audit(settings),
        "atto wallet keys": lambda: _wallet_keys(settings, atto),
        "atto node": lambda: _node(atto),
        "atto work": lambda: _work(atto),
    }


async def _report(checks: dict[str, Check]) -> bool:
    table = Table("check", "result")
    table.add_column("detail", overflow="fold")
    healthy = True
    for name, check in checks.items():
        try:
            table.add_row(name, "[green]good[/]", Text(await check()))
        except StrongroomError as error:
            healthy = False
            table.add_row(name, "[red]bad[/]", Text(error.message))
        except OSError as error:
            healthy = False
            table.add_row(name, "[red]bad[/]", Text(str(error)))
    Console().print(table)
    return healthy


async def _database(settings: Settings) -> str:
    async with atto_ledger(settings) as ledger:
        return shown(ledger.database)


async def _audit(settings: Settings) -> str:
    async with atto_ledger(settings) as ledger:
        return f"{await verify(ledger.database)} rows verified"


async def _wallet_keys(settings: Settings, atto: AttoSettings) -> str:
    """A restored backup is worth nothing without the key that sealed its wallets."""
    async with atto_ledger(settings) as ledger:
        found = await inspect_holdings(atto.key, ledger.database, WalletHoldings())
    return f"{found.sealed} unlocked wallets open, {found.rows - found.sealed} are locked"


async def _node(atto: AttoSettings) -> str:
    node = HttpNode(atto.node_url, SystemClock())
    try:
        _require_network(await node.network(), atto.network)
        return f"{atto.node_url}, its clock differs by {await node.clock_offset_ms()} ms"
    except StrongroomError as error:
        raise Unavailable(f"{atto.node_url}: {error.message}") from error
    finally:
        await node.close()


def _require_network(found: Network | None, configured: Network) -> None:
    if found is not None and found is not configured:
        raise Unavailable(f"the node is of the network {found.name}, and NETWORK says {configured.name}")


async def _work(atto: AttoSettings) -> str:
    if atto.work_url is None:
        worker = LocalWorker(atto.work_threads)
        engine = worker.engine
        await worker.close()
        return f"this machine, engine {engine}, threads {atto.work_threads}"
    remote = RemoteWorker(atto.work_url, min(atto.work_timeout_s, WORK_TIMEOUT_S))
    try:
        await remote.work(atto.network, SystemClock().now_ms(), bytes(32))
    except StrongroomError as error:
        raise Unavailable(f"{atto.work_url}: {error.message}") from error
    finally:
        await remote.close()
    return f"{atto.work_url} found work"


async def _hathor_database(settings: Settings) -> str:
    async with hathor_ledger(settings) as ledger:
        return shown(ledger.database)


async def _hathor_node(hathor: HathorSettings) -> str:
    node = HttpEventNode(hathor.node_url, hathor.ws_url)
    try:
        version, page = await node.version(), await node.page(-1)
    except StrongroomError as error:
        raise Unavailable(f"{hathor.node_url}: {error.message}") from error
    finally:
        await node.close()
    blocks = version.reward_spend_min_blocks
    return f"{hathor.node_url}, {page.latest_event_id + 1} events, rewards are locked for {blocks} blocks"
