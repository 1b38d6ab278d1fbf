"""What `strongroom doctor` asks of the Bittensor ledger."""

from functools import partial

from strongroom.bittensor.gateway.genesis_pin import GenesisPin
from strongroom.bittensor.gateway.node import NodeChain
from strongroom.bittensor.keystore.holdings import KeyHoldings
from strongroom.bittensor.settings import BittensorSettings
from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.errors import Unavailable
from strongroom.core.ledger.contract import Check
from strongroom.core.ledger.installed import Installed, reading
from strongroom.core.ledger.key_backends import opened_backends
from strongroom.core.security.custody.opening import inspect_holdings


def bittensor_checks(one: Installed, bittensor: BittensorSettings) -> dict[str, Check]:
    return {
        "bittensor keys": partial(_keys, one, bittensor),
        "bittensor chain": partial(_chain, one, bittensor),
    }


async def _keys(one: Installed, bittensor: BittensorSettings) -> str:
    """Checks that the key opens the sealed keys: without it a restored backup is useless."""
    async with reading(one) as database, opened_backends(bittensor.key) as backends:
        found = await inspect_holdings(bittensor.key, database, KeyHoldings(), backends)
    if found.is_new:
        return "nothing was sealed yet, and there is no key: the first `strongroom serve` makes it"
    return f"{found.sealed} keys open, {found.rows - found.sealed} are known by their address alone"


async def _chain(one: Installed, bittensor: BittensorSettings) -> str:
    clock = SystemClock()
    async with reading(one) as database:
        pin = GenesisPin(database, bittensor.network, clock)
        chain = NodeChain(
            bittensor.chain_endpoints, check_genesis=pin.compare, clock=clock, entropy=SystemEntropy()
        )
        try:
            runtime, heads = await chain.runtime(), await chain.heads()
        except Unavailable as error:
            raise Unavailable(f"the chain: {error.message}") from error
        finally:
            await chain.close()
    return f"runtime {runtime.spec_version}, block {heads.best.number}, final {heads.final.number}"
