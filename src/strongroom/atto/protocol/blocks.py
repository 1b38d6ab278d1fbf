"""The four kinds of blocks and their binary form, which is also the input of the block's hash.

A block is one link in the chain of one account. Integers are little-endian. `balance` is the account's balance after the
block.
"""

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import ClassVar, Final

from strongroom.atto.protocol.address import Address
from strongroom.atto.protocol.errors import InvalidBlock
from strongroom.atto.protocol.fields import (
    HASH_SIZE,
    PUBLIC_KEY_SIZE,
    require_amount,
    require_height,
    require_size,
    require_timestamp,
    require_version,
)
from strongroom.atto.protocol.networks import ALGORITHM_V1, Network


class BlockType(IntEnum):
    """The value is the first byte of a block, the name its form in JSON."""

    OPEN = 0
    RECEIVE = 1
    SEND = 2
    CHANGE = 3


# type, network, version, algorithm, public key
_HEAD: Final = "<BBHB32s"
_OPEN: Final = Struct(_HEAD + "QqB32sB32s")
_SEND: Final = Struct(_HEAD + "QQq32sB32sQ")
# RECEIVE ends with a send hash where CHANGE ends with a representative.
_LINK: Final = Struct(_HEAD + "QQq32sB32s")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """The fields of every kind of block. This class checks sizes and ranges; `validation` checks the ledger's rules.

    Raises:
        InvalidBlock: a field has the wrong size or range.
        InvalidAmount: an amount is above the supply.
    """

    type: ClassVar[BlockType]

    network: Network
    version: int
    public_key: bytes
    balance: int
    """In raw."""
    timestamp: int
    """Milliseconds since 1970, UTC."""

    def __post_init__(self) -> None:
        require_version(self.version)
        require_size(self.public_key, PUBLIC_KEY_SIZE, "publicKey")
        require_amount(self.balance, "balance")
        require_timestamp(self.timestamp)

    def to_bytes(self) -> bytes:
        raise NotImplementedError

    @property
    def hash(self) -> bytes:
        """BLAKE2b-256 of the bytes: what is signed, and the `previous` of the next block."""
        return hashlib.blake2b(self.to_bytes(), digest_size=HASH_SIZE).digest()

    @property
    def address(self) -> Address:
        return Address(public_key=self.public_key)

    def _head(self) -> tuple[int, int, int, int, bytes]:
        return self.type, self.network, self.version, ALGORITHM_V1, self.public_key


@dataclass(frozen=True, slots=True, kw_only=True)
class _ChainedBlock(_Block):
    """The fields of every kind but OPEN."""

    height: int
    previous: bytes

    def __post_init__(self) -> None:
        # dataclass(slots=True) makes a new class, which the bare super() would not find.
        _Block.__post_init__(self)
        require_height(self.height)
        require_size(self.previous, HASH_SIZE, "previous")

    @property
    def work_target(self) -> bytes:
        return self.previous


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBlock(_Block):
    """The first block of an account: receives a send and names the representative."""

    type: ClassVar = BlockType.OPEN

    send_hash: bytes
    representative_public_key: bytes

    def __post_init__(self) -> None:
        _Block.__post_init__(self)
        require_size(self.send_hash, HASH_SIZE, "sendHash")
        require_size(self.representative_public_key, PUBLIC_KEY_SIZE, "representativePublicKey")

    @property
    def height(self) -> int:
        return 1

    @property
    def work_target(self) -> bytes:
        return self.public_key

    def to_bytes(self) -> bytes:
        """119 bytes."""
        return _OPEN.pack(
            *self._head(),
            self.balance,
            self.timestamp,
            ALGORITHM_V1,
            self.send_hash,
            ALGORITHM_V1,
            self.representative_public_key,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveBlock(_ChainedBlock):
    """Adds the amount of a send to an account that is open."""

    type: ClassVar = BlockType.RECEIVE

    send_hash: bytes

    def __post_init__(self) -> None:
        _ChainedBlock.__post_init__(self)
        require_size(self.send_hash, HASH_SIZE, "sendHash")

    def to_bytes(self) -> bytes:
        """126 bytes."""
        return _LINK.pack(
            *self._head(),
            self.height,
            self.balance,
            self.timestamp,
            self.previous,
            ALGORITHM_V1,
            self.send_hash,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SendBlock(_ChainedBlock):
    """Takes an amount from the account; the receiver has it with its own OPEN or RECEIVE."""

    type: ClassVar = BlockType.SEND

    receiver_public_key: bytes
    amount: int
    """In raw."""

    def __post_init__(self) -> None:
        _ChainedBlock.__post_init__(self)
        require_size(self.receiver_public_key, PUBLIC_KEY_SIZE, "receiverPublicKey")
        require_amount(self.amount, "amount")

    def to_bytes(self) -> bytes:
        """134 bytes."""
        return _SEND.pack(
            *self._head(),
            self.height,
            self.balance,
            self.timestamp,
            self.previous,
            ALGORITHM_V1,
            self.receiver_public_key,
            self.amount,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeBlock(_ChainedBlock):
    """Gives the account's vote to another representative."""

    type: ClassVar = BlockType.CHANGE

    representative_public_key: bytes

    def __post_init__(self) -> None:
        _ChainedBlock.__post_init__(self)
        require_size(self.representative_public_key, PUBLIC_KEY_SIZE, "representativePublicKey")

    def to_bytes(self) -> bytes:
        """126 bytes."""
        return _LINK.pack(
            *self._head(),
            self.height,
            self.balance,
            self.timestamp,
            self.previous,
            ALGORITHM_V1,
            self.representative_public_key,
        )


Block = OpenBlock | ReceiveBlock | SendBlock | ChangeBlock


def parse_block(data: bytes) -> Block:
    """The block of exactly these bytes.

    Raises:
        InvalidBlock: length, an unknown type, network or algorithm, or a field out of range.
        InvalidAmount: an amount is above the supply.
    """
    parser = _PARSERS.get(data[0]) if data else None
    if parser is None:
        raise InvalidBlock("Unknown block type")
    try:
        return parser(data)
    except struct.error:
        raise InvalidBlock(f"A block of this type cannot have {len(data)} bytes") from None


def _parse_open(data: bytes) -> OpenBlock:
    (
        *head,
        balance,
        timestamp,
        send_hash_algorithm,
        send_hash,
        representative_algorithm,
        representative_public_key,
    ) = _OPEN.unpack(data)
    network, version, public_key = _parse_head(*head)
    _require_v1(send_hash_algorithm, representative_algorithm)
    return OpenBlock(
        network=network,
        version=version,
        public_key=public_key,
        balance=balance,
        timestamp=timestamp,
        send_hash=send_hash,
        representative_public_key=representative_public_key,
    )


def _parse_receive(data: bytes) -> ReceiveBlock:
    *head, height, balance, timestamp, previous, send_hash_algorithm, send_hash = _LINK.unpack(data)
    network, version, public_key = _parse_head(*head)
    _require_v1(send_hash_algorithm)
    return ReceiveBlock(
        network=network,
        version=version,
        public_key=public_key,
        height=height,
        balance=balance,
        timestamp=timestamp,
        previous=previous,
        send_hash=send_hash,
    )


def _parse_send(data: bytes) -> SendBlock:
    *head, height, balance, timestamp, previous, receiver_algorithm, receiver_public_key, amount = (
        _SEND.unpack(data)
    )
    network, version, public_key = _parse_head(*head)
    _require_v1(receiver_algorithm)
    return SendBlock(
        network=network,
        version=version,
        public_key=public_key,
        height=height,
        balance=balance,
        timestamp=timestamp,
        previous=previous,
        receiver_public_key=receiver_public_key,
        amount=amount,
    )


def _parse_change(data: bytes) -> ChangeBlock:
    *head, height, balance, timestamp, previous, representative_algorithm, representative_public_key = (
        _LINK.unpack(data)
    )
    network, version, public_key = _parse_head(*head)
    _require_v1(representative_algorithm)
    return ChangeBlock(
        network=network,
        version=version,
        public_key=public_key,
        height=height,
        balance=balance,
        timestamp=timestamp,
        previous=previous,
        representative_public_key=representative_public_key,
    )


_PARSERS: Final[dict[int, Callable[[bytes], Block]]] = {
    BlockType.OPEN: _parse_open,
    BlockType.RECEIVE: _parse_receive,
    BlockType.SEND: _parse_send,
    BlockType.CHANGE: _parse_change,
}


def _parse_head(
    _type: int, network: int, version: int, algorithm: int, public_key: bytes
) -> tuple[Network, int, bytes]:
    _require_v1(algorithm)
    try:
        return Network(network), version, public_key
    except ValueError:
        raise InvalidBlock("Unknown network") from None


def _require_v1(*algorithms: int) -> None:
    if any(algorithm != ALGORITHM_V1 for algorithm in algorithms):
        raise InvalidBlock("Unknown algorithm")
