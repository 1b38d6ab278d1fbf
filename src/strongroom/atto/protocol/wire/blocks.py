"""JSON of blocks and transactions."""

from typing import Final

import msgspec

from strongroom.atto.protocol.blocks import Block, ChangeBlock, OpenBlock, ReceiveBlock, SendBlock
from strongroom.atto.protocol.errors import InvalidBlock
from strongroom.atto.protocol.networks import Network
from strongroom.atto.protocol.transactions import Transaction
from strongroom.atto.protocol.wire.scalars import (
    V1,
    Record,
    WireAlgorithm,
    WireInteger,
    decode,
    encode,
    from_hex,
    require_same_key,
    to_hex,
    to_int,
    to_uri,
)


class _BlockRecord(Record, frozen=True, tag_field="type"):
    network: str
    version: WireInteger
    algorithm: WireAlgorithm
    public_key: str


class _ChainedRecord(_BlockRecord, frozen=True):
    height: WireInteger
    balance: WireInteger
    timestamp: WireInteger
    previous: str


class _OpenRecord(_BlockRecord, frozen=True, tag="OPEN"):
    balance: WireInteger
    timestamp: WireInteger
    send_hash_algorithm: WireAlgorithm
    send_hash: str
    representative_algorithm: WireAlgorithm
    representative_public_key: str
    height: WireInteger = 1
    address: str | None = None
    representative_address: str | None = None


class _ReceiveRecord(_ChainedRecord, frozen=True, tag="RECEIVE"):
    send_hash_algorithm: WireAlgorithm
    send_hash: str
    address: str | None = None


class _SendRecord(_ChainedRecord, frozen=True, tag="SEND"):
    receiver_algorithm: WireAlgorithm
    receiver_public_key: str
    amount: WireInteger
    address: str | None = None
    receiver_address: str | None = None


class _ChangeRecord(_ChainedRecord, frozen=True, tag="CHANGE"):
    representative_algorithm: WireAlgorithm
    representative_public_key: str
    address: str | None = None
    representative_address: str | None = None


_AnyRecord = _OpenRecord | _ReceiveRecord | _SendRecord | _ChangeRecord


class _TransactionRecord(Record, frozen=True):
    block: _AnyRecord
    signature: str
    work: str


_block_decoder: Final[msgspec.json.Decoder[_AnyRecord]] = msgspec.json.Decoder(_AnyRecord)
_transaction_decoder: Final = msgspec.json.Decoder(_TransactionRecord)


def encode_block(block: Block) -> bytes:
    return encode(_to_record(block))


def decode_block(data: bytes) -> Block:
    return _from_record(decode(_block_decoder, data))


def encode_transaction(transaction: Transaction) -> bytes:
    return encode(
        _TransactionRecord(
            block=_to_record(transaction.block),
            signature=to_hex(transaction.signature),
            work=to_hex(transaction.work),
        )
    )


def decode_transaction(data: bytes) -> Transaction:
    record = decode(_transaction_decoder, data)
    return Transaction(
        block=_from_record(record.block),
        signature=from_hex(record.signature),
        work=from_hex(record.work),
    )


def _to_record(block: Block) -> _AnyRecord:
    match block:
        case OpenBlock():
            return _to_open_record(block)
        case ReceiveBlock():
            return _to_receive_record(block)
        case SendBlock():
            return _to_send_record(block)
        case ChangeBlock():
            return _to_change_record(block)


def _from_record(record: _AnyRecord) -> Block:
    block: Block
    match record:
        case _OpenRecord():
            block = _from_open_record(record)
        case _ReceiveRecord():
            block = _from_receive_record(record)
        case _SendRecord():
            block = _from_send_record(record)
        case _ChangeRecord():
            block = _from_change_record(record)
    require_same_key(record.address, block.public_key)
    return block


def _to_open_record(block: OpenBlock) -> _OpenRecord:
    return _OpenRecord(
        network=block.network.name,
        version=block.version,
        algorithm=V1,
        public_key=to_hex(block.public_key),
        balance=block.balance,
        timestamp=block.timestamp,
        send_hash_algorithm=V1,
        send_hash=to_hex(block.send_hash),
        representative_algorithm=V1,
        representative_public_key=to_hex(block.representative_public_key),
        height=block.height,
        address=to_uri(block.public_key),
        representative_address=to_uri(block.representative_public_key),
    )


def _from_open_record(record: _OpenRecord) -> OpenBlock:
    block = OpenBlock(
        network=Network.parse(record.network),
        version=to_int(record.version),
        public_key=from_hex(record.public_key),
        balance=to_int(record.balance),
        timestamp=to_int(record.timestamp),
        send_hash=from_hex(record.send_hash),
        representative_public_key=from_hex(record.representative_public_key),
    )
    if to_int(record.height) != block.height:
        raise InvalidBlock("An OPEN block has height 1")
    require_same_key(record.representative_address, block.representative_public_key)
    return block


def _to_receive_record(block: ReceiveBlock) -> _ReceiveRecord:
    return _ReceiveRecord(
        network=block.network.name,
        version=block.version,
        algorithm=V1,
        public_key=to_hex(block.public_key),
        height=block.height,
        balance=block.balance,
        timestamp=block.timestamp,
        previous=to_hex(block.previous),
        send_hash_algorithm=V1,
        send_hash=to_hex(block.send_hash),
        address=to_uri(block.public_key),
    )


def _from_receive_record(record: _ReceiveRecord) -> ReceiveBlock:
    return ReceiveBlock(
        network=Network.parse(record.network),
        version=to_int(record.version),
        public_key=from_hex(record.public_key),
        height=to_int(record.height),
        balance=to_int(record.balance),
        timestamp=to_int(record.timestamp),
        previous=from_hex(record.previous),
        send_hash=from_hex(record.send_hash),
    )


def _to_send_record(block: SendBlock) -> _SendRecord:
    return _SendRecord(
        network=block.network.name,
        version=block.version,
        algorithm=V1,
        public_key=to_hex(block.public_key),
        height=block.height,
        balance=block.balance,
        timestamp=block.timestamp,
        previous=to_hex(block.previous),
        receiver_algorithm=V1,
        receiver_public_key=to_hex(block.receiver_public_key),
        amount=block.amount,
        address=to_uri(block.public_key),
        receiver_address=to_uri(block.receiver_public_key),
    )


def _from_send_record(record: _SendRecord) -> SendBlock:
    block = SendBlock(
        network=Network.parse(record.network),
        version=to_int(record.version),
        public_key=from_hex(record.public_key),
        height=to_int(record.height),
        balance=to_int(record.balance),
        timestamp=to_int(record.timestamp),
        previous=from_hex(record.previous),
        receiver_public_key=from_hex(record.receiver_public_key),
        amount=to_int(record.amount),
    )
    require_same_key(record.receiver_address, block.receiver_public_key)
    return block


def _to_change_record(block: ChangeBlock) -> _ChangeRecord:
    return _ChangeRecord(
        network=block.network.name,
        version=block.version,
        algorithm=V1,
        public_key=to_hex(block.public_key),
        height=block.height,
        balance=block.balance,
        timestamp=block.timestamp,
        previous=to_hex(block.previous),
        representative_algorithm=V1,
        representative_public_key=to_hex(block.representative_public_key),
        address=to_uri(block.public_key),
        representative_address=to_uri(block.representative_public_key),
    )


def _from_change_record(record: _ChangeRecord) -> ChangeBlock:
    block = ChangeBlock(
        network=Network.parse(record.network),
        version=to_int(record.version),
        public_key=from_hex(record.public_key),
        height=to_int(record.height),
        balance=to_int(record.balance),
        timestamp=to_int(record.timestamp),
        previous=from_hex(record.previous),
        representative_public_key=from_hex(record.representative_public_key),
    )
    require_same_key(record.representative_address, block.representative_public_key)
    return block
