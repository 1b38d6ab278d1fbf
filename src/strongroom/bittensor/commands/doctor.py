"""What `strongroom doctor` asks of the Bittensor ledger."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from strongroom.bittensor.extrinsics.proxy_watch import find_proxies
from strongroom.bittensor.gateway.genesis_pin import GenesisPin
from strongroom.bittensor.gateway.node import NodeChain
from strongroom.bittensor.keystore.holdings import KeyHoldings
from strongroom.bittensor.keystore.keyfile_folder import WalletFolder
from strongroom.bittensor.keystore.names import coldkey
from strongroom.bittensor.settings import BittensorSettings
from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.errors import Conflict, Unavailable
from strongroom.core.ledger.contract import Check
from strongroom.core.ledger.installed import Installed, reading
from strongroom.core.ledger.keys.backends import opened_backends
from strongroom.core.security.custody.opening import inspect_holdings
from strongroom.core.storage.database import Database


def bittensor_checks(one: Installed, bittensor: BittensorSettings) -> dict[str, Check]:
    return {
        "bittensor keys": partial(_keys, one, bittensor),
        "bittensor chain": partial(_chain, one, bittensor),
        "bittensor proxies": partial(_proxies, one, bittensor),
    }


async def _keys(one: Installed, bittensor: BittensorSettings) -> str:
    """Checks that the key opens the sealed keys: without it a restored backup is useless."""
    async with reading(one) as database, opened_backends(bittensor.key) as backends:
        found = await inspect_holdings(bittensor.key, database, KeyHoldings(), backends)
    if found.is_new:
        return "nothing was sealed yet, and there is no key: the first `strongroom serve` makes it"
    return f"{found.sealed} keys open, {found.rows - found.sealed} are known by their address alone"


async def _chain(one: Installed, bittensor: BittensorSettings) -> str:
    async with _opened(one, bittensor) as (chain, _):
        runtime, heads = await chain.runtime(), await chain.heads()
    return f"runtime {runtime.spec_version}, block {heads.best.number}, final {heads.final.number}"


async def _proxies(one: Installed, bittensor: BittensorSettings) -> str:
    """Checks that the chain knows the proxies that are here, and that they can pay fees."""
    async with _opened(one, bittensor) as (chain, database):
        found = await find_proxies(chain, database)
    if found.problems:
        raise Conflict("; ".join(found.problems))
    if not found.wallets:
        return "no wallet has a proxy in place of its coldkey"
    held = sorted({*found.with_coldkey, *_in_folder(bittensor.wallet_path, found.wallets)})
    coldkeys = f"; the coldkeys of {', '.join(held)} are here too" if held else ""
    return f"the chain lets those of {', '.join(found.wallets)} call, and they can pay fees{coldkeys}"


def _in_folder(path: Path | None, wallets: Sequence[str]) -> list[str]:
    """The wallets whose coldkey's file is in the folder."""
    folder = None if path is None else WalletFolder(path)
    return [one for one in wallets if folder is not None and folder.path_of(coldkey(one)).is_file()]


@asynccontextmanager
async def _opened(one: Installed, bittensor: BittensorSettings) -> AsyncIterator[tuple[NodeChain, Database]]:
    """Raises: Unavailable: the database or the chain does not answer."""
    clock = SystemClock()
    async with reading(one) as database:
        pin = GenesisPin(database, bittensor.network, clock)
        chain = NodeChain(
            bittensor.chain_endpoints, check_genesis=pin.compare, clock=clock, entropy=SystemEntropy()
        )
        try:
            yield chain, database
        except Unavailable as error:
            raise Unavailable(f"the chain: {error.message}") from error
        finally:
            await chain.close()
