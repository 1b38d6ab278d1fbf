"""Accounts, receivables and entries as a node describes them. Constructors check sizes and ranges, as in `blocks`."""

from dataclasses import dataclass

from strongroom.atto.protocol.blocks import BlockType
from strongroom.atto.protocol.fields import (
    HASH_SIZE,
    PUBLIC_KEY_SIZE,
    require_amount,
    require_height,
    require_size,
    require_timestamp,
    require_version,
)
from strongroom.atto.protocol.networks import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """The state of an open account after its last block."""

    network: Network
    version: int
    public_key: bytes
    height: int
    balance: int
    """In raw."""
    frontier: bytes
    """Hash of the last block, `lastTransactionHash` on the wire."""
    timestamp_ms: int
    """Of the last block."""
    representative_public_key: bytes

    def __post_init__(self) -> None:
        require_version(self.version)
        require_size(self.public_key, PUBLIC_KEY_SIZE, "publicKey")
        require_height(self.height)
        require_amount(self.balance, "balance")
        require_size(self.frontier, HASH_SIZE, "lastTransactionHash")
        require_timestamp(self.timestamp_ms)
        require_size(self.representative_public_key, PUBLIC_KEY_SIZE, "representativePublicKey")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receivable:
    """An amount that was sent, and that its receiver has not taken with an OPEN or RECEIVE yet."""

    network: Network
    hash: bytes
    """Of the SEND block."""
    version: int
    sender_public_key: bytes
    timestamp_ms: int
    """Of the SEND block."""
    receiver_public_key: bytes
    amount: int
    """In raw."""

    def __post_init__(self) -> None:
        require_size(self.hash, HASH_SIZE, "hash")
        require_version(self.version)
        require_size(self.sender_public_key, PUBLIC_KEY_SIZE, "publicKey")
        require_timestamp(self.timestamp_ms)
        require_size(self.receiver_public_key, PUBLIC_KEY_SIZE, "receiverPublicKey")
        require_amount(self.amount, "amount")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEntry:
    """One line of an account's history: a block, and the balance before and after it."""

    hash: bytes
    public_key: bytes
    height: int
    block_type: BlockType
    subject_public_key: bytes
    """SEND: the receiver. OPEN and RECEIVE: the sender. CHANGE: the new representative."""
    previous_balance: int
    """In raw."""
    balance: int
    """In raw."""
    timestamp_ms: int

    def __post_init__(self) -> None:
        require_size(self.hash, HASH_SIZE, "hash")
        require_size(self.public_key, PUBLIC_KEY_SIZE, "publicKey")
        require_height(self.height)
        require_size(self.subject_public_key, PUBLIC_KEY_SIZE, "subjectPublicKey")
        require_amount(self.previous_balance, "previousBalance")
        require_amount(self.balance, "balance")
        require_timestamp(self.timestamp_ms)
