"""What `strongroom doctor` asks of the Bittensor ledger."""

from collections.abc import Awaitable, Callable

from strongroom.bittensor.holdings import KeyHoldings
from strongroom.bittensor.ledger import BittensorLedger
from strongroom.bittensor.settings import BittensorSettings
from strongroom.commands.context import bittensor_ledger, shown
from strongroom.core.audit import verify
from strongroom.core.errors import Unavailable
from strongroom.core.security.holdings import inspect_holdings
from strongroom.settings import Settings

Check = Callable[[], Awaitable[str]]
Ask = Callable[[BittensorLedger], Awaitable[str]]


def bittensor_checks(settings: Settings, bittensor: BittensorSettings) -> dict[str, Check]:
    def check(ask: Ask) -> Check:
        async def run() -> str:
            async with bittensor_ledger(settings) as ledger:
                return await ask(ledger)

        return run

    async def keys(ledger: BittensorLedger) -> str:
        return await _keys(ledger, bittensor)

    return {
        "bittensor database": check(_database),
        "bittensor audit trail": check(_audit),
        "bittensor keys": check(keys),
        "bittensor chain": check(_chain),
    }


async def _database(ledger: BittensorLedger) -> str:
    return shown(ledger.database)


async def _audit(ledger: BittensorLedger) -> str:
    return f"{await verify(ledger.database)} rows verified"


async def _keys(ledger: BittensorLedger, bittensor: BittensorSettings) -> str:
    """A restored backup is worth nothing without the key that sealed its keys."""
    found = await inspect_holdings(bittensor.key, ledger.database, KeyHoldings())
    return f"{found.sealed} keys open, {found.rows - found.sealed} are known by their address alone"


async def _chain(ledger: BittensorLedger) -> str:
    try:
        runtime, heads = await ledger.chain_work.chain.runtime(), await ledger.chain_work.chain.heads()
    except Unavailable as error:
        raise Unavailable(f"the chain: {error.message}") from error
    return f"runtime {runtime.spec_version}, block {heads.best.number}, final {heads.final.number}"
