"""Lets the SDK's own chain client submit extrinsics for a key that lies in the service.

The SDK has a keypair sign the bytes of a payload, or only their hash. A service that signed bytes would sign anything,
so the call itself is handed to it: the service reads it, holds it against the token's rights, builds the payload for
its own chain, notes it, and answers the signature.

SDK 9 and 10 talk to the chain with a library, which is adapted here; SDK 11 has a client of its own (`sdk11`).
"""

import asyncio
import functools
import importlib
import importlib.util
import inspect
from typing import Any

from strongroom.bittensor.client import proxied, sdk11
from strongroom.bittensor.client.nonces import Asking, Draws, forget, turn
from strongroom.bittensor.client.remote import PERIOD_BLOCKS, SR25519, RemoteKeypair, RemoteWallet
from strongroom.bittensor.client.service import ServiceError

LIBRARY = "async_substrate_interface"
TAUGHT = "_signs_with_remote_keys"
SIGNERS = "_remote_signers"
"""Attribute of a client of the chain that holds the addresses of the remote keys which signed through it."""


def teach() -> bool:
    """Adapts the clients with which the SDKs talk to the chain, once. Returns False where none is installed."""
    taught = sdk11.teach()
    if importlib.util.find_spec(LIBRARY) is None:
        return taught
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
    create, payment_info, submit = (
        chain.create_signed_extrinsic,
        chain.get_payment_info,
        chain.submit_extrinsic,
    )
    names = _names(create)

    @functools.wraps(create)
    def create_signed_extrinsic(self: Any, call: Any, keypair: Any, *args: Any, **named: Any) -> Any:
        named |= dict(zip(names, args, strict=False))
        remote = _remote(keypair)
        if remote is None or named.get("signature") is not None:
            return create(self, call, keypair, **named)
        delegate = proxied.delegate_of(remote, named)
        if delegate is None:
            signature = _sign(self, remote, call, named)
            return create(self, call=call, keypair=remote, signature=signature, **named)
        call = self.compose_call(*proxied.arguments(remote, delegate, call))
        signature = _sign(self, delegate.key, call, named)
        return proxied.note(self, create(self, call=call, keypair=delegate.key, signature=signature, **named))

    @functools.wraps(submit)
    def submit_extrinsic(self: Any, extrinsic: Any, *args: Any, **named: Any) -> Any:
        receipt = submit(self, extrinsic, *args, **named)
        return proxied.receipt_of(self, extrinsic, receipt, is_async=False)

    @functools.wraps(payment_info)
    def get_payment_info(self: Any, call: Any, keypair: Any, *args: Any, **named: Any) -> Any:
        return payment_info(self, call, _public(chain, keypair), *args, **named)

    chain.create_signed_extrinsic, chain.get_payment_info = create_signed_extrinsic, get_payment_info
    chain.submit_extrinsic = submit_extrinsic


def _asyncio(chain: Any) -> None:
    create, payment_info, submit = (
        chain.create_signed_extrinsic,
        chain.get_payment_info,
        chain.submit_extrinsic,
    )
    next_index, names, draws = chain.get_account_next_index, _names(create), Draws()

    @functools.wraps(next_index)
    async def get_account_next_index(self: Any, account_address: str, use_cache: bool = True) -> Any:
        if use_cache:
            draws.note(self)
        return await next_index(self, account_address, use_cache)

    @functools.wraps(create)
    async def create_signed_extrinsic(self: Any, call: Any, keypair: Any, *args: Any, **named: Any) -> Any:
        named |= dict(zip(names, args, strict=False))
        remote = _remote(keypair)
        if remote is None or named.get("signature") is not None:
            return await create(self, call, keypair, **named)
        is_pinned = draws.take(self) > 1
        call, key = await _by_delegate(self, remote, call, named)
        self.__dict__.setdefault(SIGNERS, set()).add(key.ss58_address)
        try:
            async with turn(self, key.ss58_address):
                signature = await _sign_in_turn(self, key, call, named, is_pinned=is_pinned)
            made = await create(self, call=call, keypair=key, signature=signature, **named)
            return made if key is remote else proxied.note(self, made)
        except BaseException:
            forget(self, key.ss58_address)
            raise

    @functools.wraps(submit)
    async def submit_extrinsic(self: Any, extrinsic: Any, *args: Any, **named: Any) -> Any:
        try:
            receipt = await submit(self, extrinsic, *args, **named)
            return proxied.receipt_of(self, extrinsic, receipt, is_async=True)
        except BaseException:
            for address in self.__dict__.get(SIGNERS, ()):
                forget(self, address)
            raise

    @functools.wraps(payment_info)
    async def get_payment_info(self: Any, call: Any, keypair: Any, *args: Any, **named: Any) -> Any:
        return await payment_info(self, call, _public(chain, keypair), *args, **named)

    chain.create_signed_extrinsic, chain.get_payment_info = create_signed_extrinsic, get_payment_info
    chain.get_account_next_index, chain.submit_extrinsic = get_account_next_index, submit_extrinsic


async def _by_delegate(
    chain: Any, remote: RemoteKeypair, call: Any, named: dict[str, Any]
) -> tuple[Any, RemoteKeypair]:
    """The call and the key that signs it, or the delegate's call around it and the delegate."""
    delegate = await asyncio.to_thread(proxied.delegate_of, remote, named)
    if delegate is None:
        return call, remote
    return await chain.compose_call(*proxied.arguments(remote, delegate, call)), delegate.key


def _sign(chain: Any, remote: RemoteKeypair, call: Any, named: dict[str, Any]) -> bytes:
    """Adds the era and the nonce to the arguments, and signs. If the service refuses the nonce, it takes a newer one."""
    asking = Asking(
        named.get("nonce"), is_pinned=True
    )  # this client keeps no count: one ahead was chosen on purpose
    era = named.get("era")
    while True:
        named["era"] = _era(era)
        if "current" not in named["era"]:
            named["era"]["current"] = chain.get_block_number(chain.get_chain_finalised_head())
        if asking.nonce is None:
            asking.nonce = chain.get_account_next_index(remote.ss58_address)
        named["nonce"] = asking.nonce
        try:
            return _signature(remote, call, named)
        except ServiceError as error:
            fresh = chain.get_account_next_index(remote.ss58_address) if asking.may_go_on(error) else None
            if not asking.goes_on(error, fresh):
                raise


async def _sign_in_turn(
    chain: Any, remote: RemoteKeypair, call: Any, named: dict[str, Any], *, is_pinned: bool
) -> bytes:
    """As `_sign`. The library counts nonces by itself, and also counts those that were never submitted."""
    asking = Asking(named.get("nonce"), is_pinned=is_pinned)
    era = named.get("era")
    while True:
        named["era"] = _era(era)
        if "current" not in named["era"]:
            named["era"]["current"] = await chain.get_block_number(await chain.get_chain_finalised_head())
        if asking.nonce is None:
            asking.nonce = await chain.get_account_next_index(remote.ss58_address)
        named["nonce"] = asking.nonce
        try:
            return await asyncio.to_thread(_signature, remote, call, named)
        except ServiceError as error:
            fresh = None
            if asking.may_go_on(error):
                forget(chain, remote.ss58_address)
                fresh = await chain.get_account_next_index(remote.ss58_address)
            if not asking.goes_on(error, fresh):
                raise


def _names(create: Any) -> list[str]:
    """The names of the positional arguments after the call and the keypair."""
    return list(inspect.signature(create).parameters)[3:]


def _remote(keypair: Any) -> RemoteKeypair | None:
    if isinstance(keypair, RemoteWallet):
        return keypair.hotkey
    return keypair if isinstance(keypair, RemoteKeypair) else None


def _public(chain: Any, keypair: Any) -> Any:
    """The keypair with which the library estimates a fee. Before its version 1.2 it must be of the library's own class."""
    remote = _remote(keypair)
    if remote is None:
        return keypair
    kind = importlib.import_module(chain.__module__).Keypair
    if isinstance(remote, kind):
        return remote
    return kind(ss58_address=remote.ss58_address, crypto_type=SR25519)


def _era(era: Any) -> dict[str, int]:
    """Shortens an era: if the pool refuses the extrinsic, the service lets the account wait until the era is over."""
    named = dict(era) if isinstance(era, dict) else {}
    return named | {"period": min(named.get("period", PERIOD_BLOCKS), PERIOD_BLOCKS)}


def _signature(remote: RemoteKeypair, call: Any, named: dict[str, Any]) -> bytes:
    """An sr25519 signature: 65 bytes, of which the first one names the kind."""
    era = encode_era(named["era"]["period"], named["era"]["current"])
    signature = remote.sign_call(bytes(call.data.data), era, named["nonce"], named.get("tip") or 0)
    return bytes([SR25519]) + signature


def encode_era(period: int, current: int) -> bytes:
    """Encodes a mortal era as two bytes: its period in blocks, rounded up to a power of two from 4 to 65536, and its phase."""
    period = min(max(1 << (period - 1).bit_length(), 4), 1 << 16)
    quantise = max(period >> 12, 1)
    phase = current % period // quantise
    return (min(max(period.bit_length() - 2, 1), 15) | phase << 4).to_bytes(2, "little")
