"""Lets SDK 11's own client of the chain submit extrinsics for a key that lies in the service.

That client gives the call itself to a remote signer, so signing needs no change. But it counts nonces as the library of the other
SDKs does, asks for eras that are longer than necessary, and signs in several tasks at once.
"""

import functools
import importlib
import importlib.util
from typing import Any

from strongroom.bittensor.client.nonces import Asking, forget, turn
from strongroom.bittensor.client.remote import PERIOD_BLOCKS, RemoteKeypair
from strongroom.bittensor.client.service import ServiceError

TRANSPORT = "bittensor._transport.interface"
TAUGHT = "_signs_with_remote_keys"


def teach() -> bool:
    """Adapts the client once; returns False if the SDK is not installed, or is another version."""
    try:
        if importlib.util.find_spec(TRANSPORT) is None:
            return False
    except ModuleNotFoundError:
        return False
    chain = getattr(importlib.import_module(TRANSPORT), "SubstrateConnection", None)
    if chain is None:
        return False
    if not hasattr(chain, TAUGHT):
        setattr(chain, TAUGHT, True)
        _adapt(chain)
    return True


def _adapt(chain: Any) -> None:
    create = chain.create_signed_extrinsic

    @functools.wraps(create)
    async def create_signed_extrinsic(self: Any, call: Any, keypair: Any, **named: Any) -> Any:
        if not isinstance(keypair, RemoteKeypair) or named.get("signature") is not None:
            return await create(self, call, keypair, **named)
        era = dict(named["era"]) if isinstance(named.get("era"), dict) else {}
        named["era"] = era | {"period": min(era.get("period", PERIOD_BLOCKS), PERIOD_BLOCKS)}
        asking = Asking(named.get("nonce"), is_pinned=True)
        async with turn(self, keypair.ss58_address):
            while True:
                try:
                    return await create(self, call, keypair, **named)
                except BaseException as error:
                    forget(self, keypair.ss58_address)
                    if not (isinstance(error, ServiceError) and asking.repeats(error)):
                        raise

    chain.create_signed_extrinsic = create_signed_extrinsic
