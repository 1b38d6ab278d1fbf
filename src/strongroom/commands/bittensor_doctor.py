"""What `strongroom doctor` asks of the Bittensor ledger."""

from collections.abc import Awaitable, Callable
from functools import partial

from strongroom.bittensor.gateway.genesis_pin import ChainPin
from strongroom.bittensor.gateway.node import NodeChain
from strongroom.bittensor.keystore.holdings import KeyHoldings
from strongroom.bittensor.settings import BittensorSettings
from strongroom.commands.installed import Installed, check_schema, reading
from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.errors import Unavailable
from strongroom.core.security.audit import verify
from strongroom.core.security.holdings import inspect_holdings

Check = Callable[[], Awaitable[str]]


def bittensor_checks(one: Installed, bittensor: BittensorSettings) -> dict[str, Check]:
    return {
        "bittensor database": partial(check_schema, one),
        "bittensor audit trail": partial(_audit, one),
        "bittensor keys": partial(_keys, one, bittensor),
        "bittensor chain": partial(_chain, one, bittensor),
    }


async def _audit(one: Installed) -> str:
    async with reading(one) as database:
        return f"{await verify(database)} rows verified"


async def _keys(one: Installed, bittensor: BittensorSettings) -> str:
    """A restored backup is worth nothing without the key that sealed its keys."""
    async with reading(one) as database:
        found = await inspect_holdings(bittensor.key, database, KeyHoldings())
    if bittensor.key.load() is None:
        return "nothing was sealed yet, and there is no key: the first `strongroom serve` makes it"
    return f"{found.sealed} keys open, {found.rows - found.sealed} are known by their address alone"


async def _chain(one: Installed, bittensor: BittensorSettings) -> str:
    clock = SystemClock()
    async with reading(one) as database:
        pin = ChainPin(database, bittensor.network, clock)
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
