"""JSON of account states, receivables and entries."""

from typing import Final

import msgspec

from strongroom.atto.protocol.blocks import BlockType
from strongroom.atto.protocol.errors import InvalidBlock
from strongroom.atto.protocol.networks import Network
from strongroom.atto.protocol.values import AccountEntry, AccountState, Receivable
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


class _AccountRecord(Record, frozen=True):
    public_key: str
    network: str
    version: WireInteger
    algorithm: WireAlgorithm
    height: WireInteger
    balance: WireInteger
    last_transaction_hash: str
    last_transaction_timestamp: WireInteger
    representative_algorithm: WireAlgorithm
    representative_public_key: str


class _ReceivableRecord(Record, frozen=True):
    network: str
    hash: str
    version: WireInteger
    algorithm: WireAlgorithm
    public_key: str
    timestamp: WireInteger
    receiver_algorithm: WireAlgorithm
    receiver_public_key: str
    amount: WireInteger


class _EntryRecord(Record, frozen=True):
    hash: str
    algorithm: WireAlgorithm
    public_key: str
    height: WireInteger
    block_type: str
    subject_algorithm: WireAlgorithm
    subject_public_key: str
    previous_balance: WireInteger
    balance: WireInteger
    timestamp: WireInteger
    address: str | None = None
    subject_address: str | None = None


_account_decoder: Final = msgspec.json.Decoder(_AccountRecord)
_accounts_decoder: Final = msgspec.json.Decoder(list[_AccountRecord])
_receivable_decoder: Final = msgspec.json.Decoder(_ReceivableRecord)
_entry_decoder: Final = msgspec.json.Decoder(_EntryRecord)


def encode_account_state(state: AccountState) -> bytes:
    return encode(
        _AccountRecord(
            public_key=to_hex(state.public_key),
            network=state.network.name,
            version=state.version,
            algorithm=V1,
            height=state.height,
            balance=state.balance,
            last_transaction_hash=to_hex(state.frontier),
            last_transaction_timestamp=state.timestamp_ms,
            representative_algorithm=V1,
            representative_public_key=to_hex(state.representative_public_key),
        )
    )


def decode_account_state(data: bytes) -> AccountState:
    return _to_account_state(decode(_account_decoder, data))


def decode_account_states(data: bytes) -> list[AccountState]:
    """From a JSON array."""
    return [_to_account_state(record) for record in decode(_accounts_decoder, data)]


def encode_receivable(receivable: Receivable) -> bytes:
    return encode(
        _ReceivableRecord(
            network=receivable.network.name,
            hash=to_hex(receivable.hash),
            version=receivable.version,
            algorithm=V1,
            public_key=to_hex(receivable.sender_public_key),
            timestamp=receivable.timestamp_ms,
            receiver_algorithm=V1,
            receiver_public_key=to_hex(receivable.receiver_public_key),
            amount=receivable.amount,
        )
    )


def decode_receivable(data: bytes) -> Receivable:
    record = decode(_receivable_decoder, data)
    return Receivable(
        network=Network.parse(record.network),
        hash=from_hex(record.hash),
        version=to_int(record.version),
        sender_public_key=from_hex(record.public_key),
        timestamp_ms=to_int(record.timestamp),
        receiver_public_key=from_hex(record.receiver_public_key),
        amount=to_int(record.amount),
    )


def encode_account_entry(entry: AccountEntry) -> bytes:
    return encode(
        _EntryRecord(
            hash=to_hex(entry.hash),
            algorithm=V1,
            public_key=to_hex(entry.public_key),
            height=entry.height,
            block_type=entry.block_type.name,
            subject_algorithm=V1,
            subject_public_key=to_hex(entry.subject_public_key),
            previous_balance=entry.previous_balance,
            balance=entry.balance,
            timestamp=entry.timestamp_ms,
            address=to_uri(entry.public_key),
            subject_address=to_uri(entry.subject_public_key),
        )
    )


def decode_account_entry(data: bytes) -> AccountEntry:
    record = decode(_entry_decoder, data)
    entry = AccountEntry(
        hash=from_hex(record.hash),
        public_key=from_hex(record.public_key),
        height=to_int(record.height),
        block_type=_to_block_type(record.block_type),
        subject_public_key=from_hex(record.subject_public_key),
        previous_balance=to_int(record.previous_balance),
        balance=to_int(record.balance),
        timestamp_ms=to_int(record.timestamp),
    )
    require_same_key(record.address, entry.public_key)
    require_same_key(record.subject_address, entry.subject_public_key)
    return entry


def _to_account_state(record: _AccountRecord) -> AccountState:
    return AccountState(
        public_key=from_hex(record.public_key),
        network=Network.parse(record.network),
        version=to_int(record.version),
        height=to_int(record.height),
        balance=to_int(record.balance),
        frontier=from_hex(record.last_transaction_hash),
        timestamp_ms=to_int(record.last_transaction_timestamp),
        representative_public_key=from_hex(record.representative_public_key),
    )


def _to_block_type(name: str) -> BlockType:
    try:
        return BlockType[name]
    except KeyError:
        raise InvalidBlock("Unknown block type") from None
