"""The calls beside those that set weights, as callers ask for them: typed values, from which the service builds the call."""

from typing import Annotated, ClassVar

import msgspec

from strongroom.bittensor.keystore.names import KeyKind
from strongroom.bittensor.protocol import account_calls, calls
from strongroom.bittensor.protocol.account_calls import DEFAULT_PROTOCOL
from strongroom.bittensor.protocol.calls import Call
from strongroom.bittensor.protocol.ss58 import decode_address
from strongroom.bittensor.protocol.weights import weight_set

U16 = Annotated[int, msgspec.Meta(ge=0, le=2**16 - 1)]
U32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
U8 = Annotated[int, msgspec.Meta(ge=0, le=2**8 - 1)]
HashHex = Annotated[str, msgspec.Meta(pattern="^(0x)?[0-9a-fA-F]{64}$")]
Amount = int | Annotated[str, msgspec.Meta(pattern="^[0-9]{1,20}$")]
"""A number, or its decimal digits for clients whose numbers are not exact."""


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What every call says. `call` builds it; the hotkey is the one that the request names, 32 bytes."""

    signer: ClassVar[KeyKind] = KeyKind.COLDKEY
    """Which key of the wallet the chain wants under it."""

    wait_for_inclusion: bool = False
    wait_for_finalization: bool = False

    def call(self, hotkey: bytes) -> Call:
        """Raises: ProtocolError: a value that the call cannot have."""
        raise NotImplementedError


class ServeAxon(Body, frozen=True, kw_only=True):
    signer: ClassVar[KeyKind] = KeyKind.HOTKEY

    netuid: U16
    ip: str
    port: U16
    version: U32 = 0
    protocol: U8 = DEFAULT_PROTOCOL

    def call(self, hotkey: bytes) -> Call:  # noqa: ARG002 - it signs
        return account_calls.serve_axon(
            self.netuid, self.ip, self.port, version=self.version, protocol=self.protocol
        )


class ServePrometheus(Body, frozen=True, kw_only=True):
    signer: ClassVar[KeyKind] = KeyKind.HOTKEY

    netuid: U16
    ip: str
    port: U16
    version: U32 = 0

    def call(self, hotkey: bytes) -> Call:  # noqa: ARG002 - it signs
        return account_calls.serve_prometheus(self.netuid, self.ip, self.port, version=self.version)


class CommitWeights(Body, frozen=True, kw_only=True):
    """A commitment whose weights and salt the caller keeps. Setting weights commits by itself where the subnet asks for it."""

    signer: ClassVar[KeyKind] = KeyKind.HOTKEY

    netuid: U16
    commit_hash: HashHex

    def call(self, hotkey: bytes) -> Call:  # noqa: ARG002 - it signs
        return calls.commit_weights(self.netuid, bytes.fromhex(self.commit_hash.removeprefix("0x")))


class RevealWeights(Body, frozen=True, kw_only=True):
    signer: ClassVar[KeyKind] = KeyKind.HOTKEY

    netuid: U16
    uids: list[U16]
    values: list[U16]
    salt: list[U16]
    version_key: int = 0
    allow_all_zero_weights: bool = False
    """As in `set_weights`."""

    def call(self, hotkey: bytes) -> Call:  # noqa: ARG002 - it signs
        weights = weight_set(
            self.uids, self.values, self.version_key, may_be_zero=self.allow_all_zero_weights
        )
        return calls.reveal_weights(self.netuid, weights, self.salt)


class BurnedRegister(Body, frozen=True, kw_only=True):
    """Registers the hotkey; the coldkey pays what the subnet burns at the moment."""

    netuid: U16

    def call(self, hotkey: bytes) -> Call:
        return account_calls.burned_register(self.netuid, hotkey)


class AddStake(Body, frozen=True, kw_only=True):
    netuid: U16
    amount_rao: Amount
    limit_price_rao: Amount | None = None
    """The most rao for one alpha. Without it the price of the moment holds, whatever it is."""
    allow_partial: bool = False

    def call(self, hotkey: bytes) -> Call:
        amount = int(self.amount_rao)
        if self.limit_price_rao is None:
            return account_calls.add_stake(self.netuid, hotkey, amount)
        return account_calls.add_stake_limit(
            self.netuid, hotkey, amount, int(self.limit_price_rao), allow_partial=self.allow_partial
        )


class RemoveStake(Body, frozen=True, kw_only=True):
    netuid: U16
    amount_alpha: Amount
    """In the alpha's smallest unit."""

    def call(self, hotkey: bytes) -> Call:
        return account_calls.remove_stake(self.netuid, hotkey, int(self.amount_alpha))


class Transfer(Body, frozen=True, kw_only=True):
    destination: str
    amount_rao: Amount

    def call(self, hotkey: bytes) -> Call:  # noqa: ARG002 - the coldkey pays
        return account_calls.transfer(decode_address(self.destination), int(self.amount_rao))


class Child(msgspec.Struct, frozen=True, kw_only=True):
    hotkey: str
    proportion: float | str
    """From 0 to 1; a decimal string is exact."""


class SetChildren(Body, frozen=True, kw_only=True):
    netuid: U16
    children: list[Child]
    """Empty: the hotkey has none any more."""

    def call(self, hotkey: bytes) -> Call:
        shares = [
            (account_calls.share_of(str(child.proportion)), decode_address(child.hotkey))
            for child in self.children
        ]
        return account_calls.set_children(self.netuid, hotkey, shares)
