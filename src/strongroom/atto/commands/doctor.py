"""The checks of `strongroom doctor` for the Atto ledger."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import Row, select

from strongroom.atto import tables
from strongroom.atto.gateway.local_worker import LocalWorker
from strongroom.atto.gateway.node import HttpNode
from strongroom.atto.gateway.remote_worker import RemoteWorker
from strongroom.atto.protocol import AccountState, Address, Network
from strongroom.atto.settings import AttoSettings
from strongroom.atto.wallets.holdings import WalletHoldings
from strongroom.core.clock import SystemClock
from strongroom.core.errors import Conflict, StrongroomError, Unavailable
from strongroom.core.http.outbound.targets import shown_place
from strongroom.core.ledger.contract import Check
from strongroom.core.ledger.installed import Installed, reading
from strongroom.core.ledger.keys.backends import opened_backends
from strongroom.core.security.custody.opening import inspect_holdings

WORK_TIMEOUT_S = 60
SHOWN = 3


def atto_checks(one: Installed, atto: AttoSettings) -> dict[str, Check]:
    return {
        "atto wallet keys": partial(_wallet_keys, one, atto),
        "atto node": partial(_node, atto),
        "atto account states": partial(_states, one, atto),
        "atto work": partial(_work, atto),
    }


async def _wallet_keys(one: Installed, atto: AttoSettings) -> str:
    """Checks that the key opens the wallets: a restored backup is useless without the key that sealed them."""
    async with reading(one) as database, opened_backends(atto.key) as backends:
        found = await inspect_holdings(atto.key, database, WalletHoldings(), backends)
    if found.is_new:
        return "nothing was sealed yet, and there is no key: the first `strongroom serve` makes it"
    return f"{found.sealed} unlocked wallets open, {found.rows - found.sealed} are locked"


async def _node(atto: AttoSettings) -> str:
    node = HttpNode(atto.node_url, SystemClock())
    try:
        _require_network(await node.network(), atto.network)
        return f"{shown_place(atto.node_url)}, its clock differs by {await node.clock_offset_ms()} ms"
    except StrongroomError as error:
        raise Unavailable(f"{shown_place(atto.node_url)}: {error.message}") from error
    finally:
        await node.close()


def _require_network(found: Network | None, configured: Network) -> None:
    if found is not None and found is not configured:
        raise Unavailable(f"the node is of the network {found.name}, and NETWORK says {configured.name}")


async def _states(one: Installed, atto: AttoSettings) -> str:
    """Checks that the node has every account's chain up to the stored height, with the same last block."""
    columns = tables.chain.c
    query = select(columns.address, columns.height, columns.balance, columns.frontier).where(
        columns.height > 0
    )
    async with reading(one) as database:
        stored = await database.fetch_all(query.order_by(columns.address))
    node = HttpNode(atto.node_url, SystemClock())
    try:
        found = await node.accounts([Address.parse(row.address) for row in stored]) if stored else []
    except StrongroomError as error:
        raise Unavailable(f"{shown_place(atto.node_url)}: {error.message}") from error
    finally:
        await node.close()
    return _compared(stored, found)


def _compared(stored: Sequence[Row[Any]], found: Sequence[AccountState]) -> str:
    """The result as text; raises Conflict if the node's chains differ from the stored ones."""
    states = {Address(public_key=state.public_key).path: state for state in found}
    differences = [words for row in stored if (words := _difference(row, states.get(row.address)))]
    if differences:
        raise Conflict(
            f"{len(differences)} of {len(stored)} accounts differ from the node, which was reset, restored or lags: "
            + "; ".join(differences[:SHOWN])
        )
    behind = sum(1 for row in stored if states[row.address].height > row.height)
    return f"{len(stored)} open accounts, {behind} of them went on elsewhere and follow with the next start"


def _difference(row: Row[Any], state: AccountState | None) -> str | None:
    if state is None:
        return f"{row.address} is at height {row.height} here and unknown there"
    if state.height < row.height:
        return f"{row.address} is at height {row.height} here and {state.height} there"
    if state.height == row.height and (state.frontier, state.balance) != (row.frontier, row.balance):
        return f"{row.address} has another block at height {row.height} there"
    return None


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
        raise Unavailable(f"{shown_place(atto.work_url)}: {error.message}") from error
    finally:
        await remote.close()
    return f"{shown_place(atto.work_url)} found work"
