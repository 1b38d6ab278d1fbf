"""The chain as the use cases see it: a narrow protocol, its values and its errors.

`NodeChain` is the real client. Every method ends in time, with an answer or an error of this module.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from strongroom.bittensor.protocol.calls import Call
from strongroom.bittensor.protocol.failures import Failure, PoolRefusal
from strongroom.bittensor.protocol.proxies import Delegation
from strongroom.core.errors import InvalidInput, LedgerRejected, OutcomeUnknown, Unavailable


class ChainUnavailable(Unavailable):
    """No node answers, or the node answers with an error of its own. For a submission: no byte of it was sent."""

    code = "chain_unavailable"


class InvalidNodeResponse(Unavailable):
    """The node's answer is impossible."""

    code = "chain_answer_invalid"


class WrongChain(Unavailable):
    """The node serves another chain than the one that this installation is for."""

    code = "wrong_chain"


class StateDiscarded(ChainUnavailable):
    """The node has the block, but it has deleted the block's state."""

    code = "state_discarded"


class SubmissionUnknown(OutcomeUnknown):
    """The bytes may have reached the node, and it did not say whether its pool has taken them."""

    code = "submission_unknown"


class PoolRefused(LedgerRejected):
    """The node answered that its pool does not take the bytes."""

    code = "pool_refused"

    def __init__(self, refusal: PoolRefusal) -> None:
        super().__init__(refusal.failure.message)
        self.refusal = refusal


class CallUnknown(InvalidInput):
    """The chain's runtime has no such call, or it takes other arguments."""

    code = "call_unknown"


class Head(NamedTuple):
    number: int
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    best: Head
    final: Head


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    number: int
    hash: bytes
    parent: bytes
    extrinsics: tuple[bytes, ...]
    """Their hashes, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    extrinsic: int | None
    """Index of the extrinsic that caused it; None: the block itself."""
    pallet: str
    name: str
    content: Any
    """As the metadata defines it: a dict, a tuple, or a single value."""
    failure: Failure | None = None
    """The error in `System.ExtrinsicFailed`, or that of the call that a proxy made, in `Proxy.ProxyExecuted`."""


PROXY_EXECUTED: Final = ("Proxy", "ProxyExecuted")
"""The event that says what became of the call that a proxy made."""


class Item(NamedTuple):
    """A value in the chain's storage. Accounts are 32 bytes."""

    pallet: str
    name: str
    keys: tuple[int | bytes, ...] = ()


class Runtime(Protocol):
    """The calls, types and storage of the chain, from its metadata."""

    @property
    def spec_version(self) -> int: ...

    @property
    def transaction_version(self) -> int: ...

    @property
    def genesis_hash(self) -> bytes: ...

    @property
    def block_s(self) -> float:
        """Seconds from one block to the next."""
        ...

    def has(self, pallet: str, function: str) -> bool:
        """Whether the chain has such a call."""
        ...

    def encode(self, call: Call) -> bytes:
        """Raises: CallUnknown."""
        ...

    def proxied(self, delegation: Delegation, call: bytes) -> bytes:
        """Returns `Proxy.proxy` around an encoded call.

        Raises: CallUnknown: the chain has no such call, or no such type of proxies.
        """
        ...

    def unwrapped(self, delegation: Delegation, data: bytes) -> bytes:
        """Returns the encoded call in what `proxied` made; it may be any bytes.

        Raises: CallUnknown: `proxied` did not make it, or for another delegation.
        """
        ...

    def call_name(self, data: bytes) -> str:
        """`Pallet.function` of an encoded call, whose arguments may be anything.

        Raises: CallUnknown.
        """
        ...

    def decode_call(self, data: bytes) -> Call:
        """Raises: CallUnknown: these bytes are no call of this chain, or more than one."""
        ...


class Chain(Protocol):
    """The chain, through a node. Every method raises ChainUnavailable, InvalidNodeResponse or WrongChain if there is no good answer."""

    async def runtime(self, *, fresh: bool = False, after: bytes | None = None) -> Runtime:
        """Returns the runtime that makes the block after the best one, or after the one with this hash.

        `fresh`: ask the node even if the answer of a moment ago is known.
        """
        ...

    async def heads(self) -> Heads:
        """The best and the final block."""
        ...

    async def block(self, block_hash: bytes) -> Block: ...

    async def block_hash(self, number: int) -> bytes | None:
        """Returns the hash of a block of the best chain; None: the chain is not as long."""
        ...

    async def events(self, block: Block) -> Sequence[Event]:
        """Raises: StateDiscarded."""
        ...

    async def read(self, items: Sequence[Item], block_hash: bytes) -> list[Any]:
        """Returns decoded values; where there is no value, the metadata's default or None."""
        ...

    async def next_nonce(self, address: str) -> int:
        """Returns the account's next nonce, which counts what the pool holds."""
        ...

    async def submit(self, extrinsic: bytes) -> None:
        """Submits an extrinsic, and returns when the pool has taken it.

        Raises:
            PoolRefused: the pool refuses it.
            SubmissionUnknown: no answer came.
            Unavailable, and every subclass: no byte of it was sent.
        """
        ...

    async def close(self) -> None: ...
