"""The service with the keys of the sandbox's own validator."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from strongroom.bittensor.keystore.names import coldkey, hotkey
from strongroom.bittensor.keystore.wallets import NewKey
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.core.security.access import OPERATOR
from strongroom_sandbox.bittensor.sandbox import HOTKEYS
from support.bittensor.sandbox_node import SandboxNode
from support.bittensor_service import BittensorService, running_bittensor


@asynccontextmanager
async def service_of_alice(sandbox: SandboxNode, data: Path) -> AsyncIterator[BittensorService]:
    """A service that has the keys of the subnet's validator, beside the chain."""
    variables = {"STRONGROOM_DATA": str(data), "chain_endpoint": sandbox.ws_url}
    async with running_bittensor(variables) as service:
        pairs = {coldkey("validator"): "//Alice", hotkey("validator", "default"): HOTKEYS[0]}
        keys = [
            NewKey(key=key, public_key=pair.public_key, keypair=pair)
            for key, pair in ((key, Keypair.from_uri(uri)) for key, uri in pairs.items())
        ]
        await service.ledger.wallets.import_(OPERATOR, keys)
        yield service
