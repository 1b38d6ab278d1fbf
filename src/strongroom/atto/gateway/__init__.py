"""The two outside systems of the Atto ledger as narrow Protocols, a node and a source of proof of work, and their clients."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from strongroom.atto.protocol import AccountEntry, AccountState, Address, Network, Receivable, Transaction
from strongroom.core.errors import LedgerRejected, Unavailable


class NodeUnavailable(Unavailable):
    """The node gave no usable answer, so the effect of the request is unknown."""

    code = "node_unavailable"


class NodeRejected(LedgerRejected):
    """The node refused a transaction; `reason` is its own word, for example `INVALID_TIMESTAMP`."""

    code = "node_rejected"

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class InvalidNodeResponse(Unavailable):
    """The node's answer contradicts itself, its signatures or the configured network."""

    code = "node_dishonest"


class WorkUnavailable(Unavailable):
    code = "work_unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeightRange:
    """The heights `first` to `last` of one account, both included."""

    address: Address
    first: int
    last: int


class Node(Protocol):
    """What the ledger asks of a node. Every method raises NodeUnavailable when it gets no usable answer."""

    async def network(self) -> Network | None:
        """The node's network; None if the node does not name it."""
        ...

    async def account(self, address: Address) -> AccountState | None: ...

    async def accounts(self, addresses: Sequence[Address]) -> list[AccountState]:
        """The states of the open accounts among these, in any order."""
        ...

    async def transaction(self, transaction_hash: bytes) -> Transaction | None:
        """The confirmed transaction with this hash, after its hash was checked; None if the node does not have it."""
        ...

    async def transaction_at(self, address: Address, height: int) -> Transaction:
        """The confirmed transaction of an account that has reached this height."""
        ...

    async def publish(self, transaction: Transaction) -> None:
        """Returns when the network has confirmed it; publishing the same bytes again is harmless.

        Raises:
            NodeRejected: the node refused it.
        """
        ...

    async def clock_offset_ms(self) -> int:
        """The node's time minus ours, in milliseconds."""
        ...

    def states(self, addresses: Sequence[Address]) -> AsyncGenerator[AccountState, None]:
        """The current state of each open account, then every later state."""
        ...

    def receivables(self, addresses: Sequence[Address], minimum_raw: int) -> AsyncGenerator[Receivable, None]:
        """All current receivables, then new ones as they arrive."""
        ...

    def entries(self, ranges: Sequence[HeightRange]) -> AsyncGenerator[AccountEntry, None]:
        """Entries, ascending and without gaps within an account; the stream ends after the last."""
        ...


class WorkSource(Protocol):
    """Finds proof of work."""

    async def work(self, network: Network, timestamp_ms: int, target: bytes) -> bytes:
        """8 bytes that are valid for `target` (32 bytes) in a block of this timestamp.

        Raises:
            WorkUnavailable: no work was found, and trying again at once does not help.
        """
        ...
