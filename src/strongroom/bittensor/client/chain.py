"""Lets the SDK's own chain client submit extrinsics for a key that lies in the service.

The SDK has a keypair sign the bytes of a payload, or only their hash. A service that signed bytes would sign anything,
so the call itself is handed to it: the service reads it, holds it against the token's rights, builds the payload for
its own chain, notes it, and answers the signature.
"""

import asyncio
import functools
import importlib
import importlib.util
from typing import Any

from strongroom.bittensor.client.remote import SR25519, RemoteKeypair, RemoteWallet

LIBRARY = "async_substrate_interface"
TAUGHT = "_signs_with_remote_keys"
PERIOD_BLOCKS = 16
"""The longest era of an extrinsic; the SDK's own are longer, or none at all."""


def teach() -> bool:
    """Teaches the library that the SDK talks to the chain with, once. False where it is not installed."""
    if importlib.util.find_spec(LIBRARY) is None:
        return False
    library = importlib.import_module(LIBRARY)
    for chain, adapt in (
        (library.SubstrateInterface, _blocking),
        (library.AsyncSubstrateInterface, _asyncio),
    ):
        if not hasattr(chain, TAUGHT):
            setattr(chain, TAUGHT, True)
            adapt(chain)
    return True


def _blocking(chain: Any) -> None:
    create, payment_info = chain.create_signed_extrinsic, chain.get_payment_info

    @functools.wraps(create)
    def create_signed_extrinsic(self: Any, call: Any, keypair: Any, *args: Any, **named: Any) -> Any:
        remote = _remote(keypair)
        if remote is None or args or named.get("signature") is not None:
            return create(self, call, keypair, *args, **named)
        named["era"] = _era(named.get("era"))
        if "current" not in named["era"]:
            named["era"]["current"] = self.get_block_number(self.get_chain_finalised_head())
        if named.get("nonce") is None:
            named["nonce"] = self.get_account_next_index(remote.ss58_address)
        signature = _signature(remote, call, named)
        return create(self, call=call, keypair=remote, signature=signature, **named)

    @functools.wraps(payment_info)
    def get_payment_info(self: Any, call: Any, keypair: Any, *args: Any, **named: Any) -> Any:
        return payment_info(self, call, _public(chain, keypair), *args, **named)

    chain.create_signed_extrinsic, chain.get_payment_info = create_signed_extrinsic, get_payment_info


def _asyncio(chain: Any) -> None:
    create, payment_info = chain.create_signed_extrinsic, chain.get_payment_info

    @functools.wraps(create)
    async def create_signed_extrinsic(self: Any, call: Any, keypair: Any, *args: Any, **named: Any) -> Any:
        remote = _remote(keypair)
        if remote is None or args or named.get("signature") is not None:
            return await create(self, call, keypair, *args, **named)
        named["era"] = _era(named.get("era"))
        if "current" not in named["era"]:
            named["era"]["current"] = await self.get_block_number(await self.get_chain_finalised_head())
        if named.get("nonce") is None:
            named["nonce"] = await self.get_account_next_index(remote.ss58_address)
        signature = await asyncio.to_thread(_signature, remote, call, named)
        return await create(self, call=call, keypair=remote, signature=signature, **named)

    @functools.wraps(payment_info)
    async def get_payment_info(self: Any, call: Any, keypair: Any, *args: Any, **named: Any) -> Any:
        return await payment_info(self, call, _public(chain, keypair), *args, **named)

    chain.create_signed_extrinsic, chain.get_payment_info = create_signed_extrinsic, get_payment_info


def _remote(keypair: Any) -> RemoteKeypair | None:
    if isinstance(keypair, RemoteWallet):
        return keypair.hotkey
    return keypair if isinstance(keypair, RemoteKeypair) else None


def _public(chain: Any, keypair: Any) -> Any:
    """The library's own kind of keypair, without a private half: enough to ask for a fee."""
    remote = _remote(keypair)
    if remote is None:
        return keypair
    kind = importlib.import_module(chain.__module__).Keypair
    return kind(ss58_address=remote.ss58_address, crypto_type=SR25519)


def _era(era: Any) -> dict[str, int]:
    """A short one: should the chain's pool refuse the extrinsic, the account waits in the service until it is over."""
    named = dict(era) if isinstance(era, dict) else {}
    return named | {"period": min(named.get("period", PERIOD_BLOCKS), PERIOD_BLOCKS)}


def _signature(remote: RemoteKeypair, call: Any, named: dict[str, Any]) -> bytes:
    """Of sr25519's kind, 65 bytes with the kind in front."""
    era = encode_era(named["era"]["period"], named["era"]["current"])
    signature = remote.sign_call(bytes(call.data.data), era, named["nonce"], named.get("tip") or 0)
    return bytes([SR25519]) + signature


def encode_era(period: int, current: int) -> bytes:
    """A mortal era, two bytes: blocks for which it holds (rounded up to a power of two from 4 to 65536) and its phase."""
    period = min(max(1 << (period - 1).bit_length(), 4), 1 << 16)
    quantise = max(period >> 12, 1)
    phase = current % period // quantise
    return (min(max(period.bit_length() - 2, 1), 15) | phase << 4).to_bytes(2, "little")
