"""What a miner or a validator uses in place of a key of its own.

Needs nothing but Python: it goes into any version of the SDK's environment.

    from strongroom.bittensor.client import WalletService

    service = WalletService.from_config(config, local=subtensor.set_weights, local_wallet=wallet)
    success, message = service.set_weights(wallet, netuid, uids, weights, version_key=spec_version)
"""

from strongroom.bittensor.client.api import AsyncWalletService, WalletService
from strongroom.bittensor.client.remote import RemoteKeypair, RemoteWallet
from strongroom.bittensor.client.result import Fate, Result
from strongroom.bittensor.client.service import ServiceError
from strongroom.bittensor.client.settings import ServiceSettings, add_arguments, read_settings
from strongroom.bittensor.client.weights import Patience

__all__ = [
    "AsyncWalletService",
    "Fate",
    "Patience",
    "RemoteKeypair",
    "RemoteWallet",
    "Result",
    "ServiceError",
    "ServiceSettings",
    "WalletService",
    "add_arguments",
    "read_settings",
]
