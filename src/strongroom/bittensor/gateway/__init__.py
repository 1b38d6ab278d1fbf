"""The outside of the Bittensor ledger: a chain, as narrow as the use cases need it.

`NodeChain` is the real client. Every method ends in time, with an answer or an error of this module.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from strongroom.bittensor.protocol.calls import Call
from strongroom.bittensor.protocol.failures import Failure, PoolRefusal
from strongroom.core.errors import InvalidInput, LedgerRejected, OutcomeUnknown, Unavailable


class ChainUnavailable(Unavailable):
    """No node answers, or it answers with an error of its own; for a submission: no byte of it was sent."""

    code = "chain_unavailable"


class InvalidNodeResponse(Unavailable):
    """A node answers with something impossible."""

    code = "chain_answer_invalid"


class WrongChain(Unavailable):
    """The node serves another chain than the one that this installation is for."""

    code = "wrong_chain"


class StateDiscarded(ChainUnavailable):
    """The node has the block, but no longer its state."""

    code = "state_discarded"


class SubmissionUnknown(OutcomeUnknown):
    """The bytes may have reached the node; it did not say what it made of them."""

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
    """As the metadata names it: a dict, a tuple, or a single value."""
    failure: Failure | None = None
    """The error in `System.ExtrinsicFailed`."""


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

    def call_name(self, data: bytes) -> str:
        """`Pallet.function` of an encoded call, whose arguments may be anything.

        Raises: CallUnknown.
        """
        ...

    def decode_call(self, data: bytes) -> Call:
        """Raises: CallUnknown: these bytes are no call of this chain, or more than one."""
        ...


class Chain(Protocol):
    """Every method raises ChainUnavailable, InvalidNodeResponse or WrongChain when there is no good answer."""

    async def runtime(self, *, fresh: bool = False, after: bytes | None = None) -> Runtime:
        """Returns the runtime that makes the block after the best one, or after the one with this hash.

        `fresh`: it is asked for even if it was a moment ago.
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
        """Decoded values; where there is none the metadata's default, or None."""
        ...

    async def next_nonce(self, address: str) -> int:
        """Returns the account's next nonce, which counts what the pool holds."""
        ...

    async def submit(self, extrinsic: bytes) -> None:
        """Returns when the pool has taken it.

        Raises:
            PoolRefused: it has not.
            SubmissionUnknown: there was no answer.
            Unavailable: of whatever kind, no byte of it was sent.
        """
        ...

    async def close(self) -> None: ...
