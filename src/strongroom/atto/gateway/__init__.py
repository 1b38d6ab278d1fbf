"""The outside of the Atto ledger as two narrow Protocols: a node, and a source of proof of work. Their clients lie beside."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from strongroom.atto.protocol import AccountEntry, AccountState, Address, Network, Receivable, Transaction
from strongroom.core.errors import LedgerRejected, Unavailable


class NodeUnavailable(Unavailable):
    """No answer, or one that says nothing about the request: its effect is unknown."""

    code = "node_unavailable"


class NodeRejected(LedgerRejected):
    """The node refused a transaction; `reason` is its own word, for example `INVALID_TIMESTAMP`."""

    code = "node_rejected"

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class InvalidNodeResponse(Unavailable):
    """What the node said contradicts itself, its signatures or the configured network."""

    code = "node_dishonest"


class WorkUnavailable(Unavailable):
    code = "work_unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeightRange:
    """Entries `first`..`last` of one account, both included."""

    address: Address
    first: int
    last: int


class Node(Protocol):
    """What the ledger asks of a node. Every method raises NodeUnavailable when it gets no usable answer."""

    async def network(self) -> Network | None:
        """The network that the node is of; None where it does not say."""
        ...

    async def account(self, address: Address) -> AccountState | None: ...

    async def accounts(self, addresses: Sequence[Address]) -> list[AccountState]:
        """States of those that are open, in any order."""
        ...

    async def transaction(self, transaction_hash: bytes) -> Transaction | None:
        """The confirmed transaction with this hash, its hash checked."""
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
        """The present state of each open account, then every later one."""
        ...

    def receivables(self, addresses: Sequence[Address], minimum_raw: int) -> AsyncGenerator[Receivable, None]:
        """Everything receivable now, then whatever arrives."""
        ...

    def entries(self, ranges: Sequence[HeightRange]) -> AsyncGenerator[AccountEntry, None]:
        """Ascending and without gaps within an account; ends after the last."""
        ...


class WorkSource(Protocol):
    """Finds proof of work."""

    async def work(self, network: Network, timestamp_ms: int, target: bytes) -> bytes:
        """8 bytes that are valid for `target` (32 bytes) in a block of this timestamp.

        Raises:
            WorkUnavailable: not found, and trying again at once will not help.
        """
        ...
