import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atto.protocol.signed import TRANSACTIONS
from atto.protocol.strategies import account_entries, account_states, blocks, receivables, transactions
from atto.protocol.vectors import VECTORS, unhex, upper_hex
from strongroom.atto.protocol import (
    MAX_SUPPLY_RAW,
    U64_MAX,
    AccountEntry,
    AccountState,
    Block,
    BlockType,
    InvalidAddress,
    InvalidAmount,
    InvalidBlock,
    InvalidNetwork,
    Network,
    OpenBlock,
    ProtocolError,
    Receivable,
    Transaction,
    decode_account_entry,
    decode_account_state,
    decode_account_states,
    decode_block,
    decode_receivable,
    decode_transaction,
    encode_account_entry,
    encode_account_state,
    encode_block,
    encode_receivable,
    encode_transaction,
)

KEY, HASH, OTHER = b"\xab" * 32, b"\xcd" * 32, b"\x02" * 32
OTHER_URI = VECTORS["docs_address"]["address"]
SEND = TRANSACTIONS[2]
OPTIONAL = {"address", "receiverAddress", "representativeAddress"}

STATE = AccountState(
    network=Network.DEV,
    version=0,
    public_key=KEY,
    height=U64_MAX,
    balance=MAX_SUPPLY_RAW,
    frontier=HASH,
    timestamp_ms=1_704_616_009_211,
    representative_public_key=OTHER,
)
STATE_JSON = {
    "publicKey": "AB" * 32,
    "network": "DEV",
    "version": 0,
    "algorithm": "V1",
    "height": 18446744073709551615,
    "balance": 18000000000000000000,
    "lastTransactionHash": "CD" * 32,
    "lastTransactionTimestamp": 1704616009211,
    "representativeAlgorithm": "V1",
    "representativePublicKey": "02" * 32,
}
RECEIVABLE = Receivable(
    network=Network.LIVE,
    hash=HASH,
    version=0,
    sender_public_key=KEY,
    timestamp_ms=1_704_616_009_211,
    receiver_public_key=OTHER,
    amount=1,
)
RECEIVABLE_JSON = {
    "network": "LIVE",
    "hash": "CD" * 32,
    "version": 0,
    "algorithm": "V1",
    "publicKey": "AB" * 32,
    "timestamp": 1704616009211,
    "receiverAlgorithm": "V1",
    "receiverPublicKey": "02" * 32,
    "amount": 1,
}
ENTRY = AccountEntry(
    hash=HASH,
    public_key=OTHER,
    height=3,
    block_type=BlockType.CHANGE,
    subject_public_key=OTHER,
    previous_balance=5,
    balance=5,
    timestamp_ms=1_704_616_009_211,
)
ENTRY_JSON = {
    "hash": "CD" * 32,
    "algorithm": "V1",
    "publicKey": "02" * 32,
    "height": 3,
    "blockType": "CHANGE",
    "subjectAlgorithm": "V1",
    "subjectPublicKey": "02" * 32,
    "previousBalance": 5,
    "balance": 5,
    "timestamp": 1704616009211,
    "address": OTHER_URI,
    "subjectAddress": OTHER_URI,
}
DECODERS = [
    decode_block,
    decode_transaction,
    decode_account_state,
    decode_account_states,
    decode_receivable,
    decode_account_entry,
]


def send_json(**changes: Any) -> bytes:
    """The signed SEND with fields of its block replaced, or removed where the value is ...."""
    document = json.loads(encode_transaction(SEND))
    document["block"].update(changes)
    document["block"] = {key: value for key, value in document["block"].items() if value is not ...}
    return json.dumps(document).encode()


@pytest.mark.parametrize("vector", [*VECTORS["blocks_commons_json"], *VECTORS["npm_blocks"]])
def test_block_vectors_to_the_byte(vector: dict[str, Any]) -> None:
    block = decode_block(vector["json"].encode())
    assert upper_hex(block.to_bytes()) == vector["bytes"]
    assert encode_block(block).decode() == vector["json"]


@pytest.mark.parametrize("vector", VECTORS["local_work"])
def test_transaction_vectors_to_the_byte(vector: dict[str, Any]) -> None:
    transaction = decode_transaction(vector["tx"].encode())
    assert upper_hex(transaction.to_bytes()) == vector["bytes"]
    assert encode_transaction(transaction).decode() == vector["tx"]


@pytest.mark.parametrize("network", ["LIVE", "DEV"])
def test_genesis(network: str) -> None:
    vector = VECTORS["genesis"][network]
    transaction = decode_transaction(json.dumps(vector["json"]).encode())
    assert transaction.to_bytes() == unhex(vector["hex"])
    assert json.loads(encode_transaction(transaction)) == vector["json"]


def test_account_state_document() -> None:
    assert json.loads(encode_account_state(STATE)) == STATE_JSON
    assert list(json.loads(encode_account_state(STATE))) == list(STATE_JSON)
    assert decode_account_state(json.dumps(STATE_JSON).encode()) == STATE
    assert decode_account_states(json.dumps([STATE_JSON, STATE_JSON]).encode()) == [STATE, STATE]
    assert decode_account_states(b"[]") == []


def test_receivable_document() -> None:
    assert json.loads(encode_receivable(RECEIVABLE)) == RECEIVABLE_JSON
    assert list(json.loads(encode_receivable(RECEIVABLE))) == list(RECEIVABLE_JSON)
    assert decode_receivable(json.dumps(RECEIVABLE_JSON).encode()) == RECEIVABLE


def test_account_entry_document_with_and_without_addresses() -> None:
    assert json.loads(encode_account_entry(ENTRY)) == ENTRY_JSON
    assert list(json.loads(encode_account_entry(ENTRY))) == list(ENTRY_JSON)
    bare = {key: value for key, value in ENTRY_JSON.items() if not key.lower().endswith("address")}
    for document in (ENTRY_JSON, bare):
        assert decode_account_entry(json.dumps(document).encode()) == ENTRY


@given(blocks)
def test_block_round_trip(block: Block) -> None:
    assert decode_block(encode_block(block)) == block


@given(transactions)
def test_transaction_round_trip(transaction: Transaction) -> None:
    assert decode_transaction(encode_transaction(transaction)) == transaction


@given(account_states)
def test_account_state_round_trip(state: AccountState) -> None:
    assert decode_account_state(encode_account_state(state)) == state


@given(receivables)
def test_receivable_round_trip(receivable: Receivable) -> None:
    assert decode_receivable(encode_receivable(receivable)) == receivable


@given(account_entries)
def test_account_entry_round_trip(entry: AccountEntry) -> None:
    assert decode_account_entry(encode_account_entry(entry)) == entry


@given(blocks)
def test_quoted_integers_lower_case_hex_and_unknown_keys_are_read(block: Block) -> None:
    document = json.loads(encode_block(block))
    keys = {"publicKey", "previous", "sendHash", "receiverPublicKey", "representativePublicKey"}
    lenient = {
        key: str(value) if isinstance(value, int) else value.lower() if key in keys else value
        for key, value in document.items()
    }
    assert decode_block(json.dumps(lenient | {"unknown": [{"deep": None}]}).encode()) == block


@given(blocks)
def test_only_addresses_and_the_height_of_an_open_are_optional(block: Block) -> None:
    document = json.loads(encode_block(block))
    optional = OPTIONAL | ({"height"} if isinstance(block, OpenBlock) else set())
    for key in document:
        data = json.dumps({name: value for name, value in document.items() if name != key}).encode()
        if key in optional:
            assert decode_block(data) == block
        else:
            with pytest.raises(InvalidBlock):
                decode_block(data)


def test_addresses_may_be_bare_paths() -> None:
    block = SEND.block
    bare = {"address": block.address.path}
    assert decode_transaction(send_json(**bare)) == SEND


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"version": 1.0}, InvalidBlock),
        ({"version": None}, InvalidBlock),
        ({"version": True}, InvalidBlock),
        ({"version": "1.0"}, InvalidBlock),
        ({"version": "1e3"}, InvalidBlock),
        ({"version": "-0"}, InvalidBlock),
        ({"version": ""}, InvalidBlock),
        ({"version": " 0"}, InvalidBlock),
        ({"version": "\u0660"}, InvalidBlock),
        ({"version": "0" * 5000}, InvalidBlock),
        ({"height": 1e3}, InvalidBlock),
        ({"height": -1}, InvalidBlock),
        ({"height": U64_MAX + 1}, InvalidBlock),
        ({"height": str(U64_MAX + 1)}, InvalidBlock),
        ({"balance": 10**400}, InvalidAmount),
        ({"balance": MAX_SUPPLY_RAW + 1}, InvalidAmount),
        ({"amount": "18000000000000000001"}, InvalidAmount),
        ({"amount": -1}, InvalidAmount),
        ({"timestamp": 2**63}, InvalidBlock),
        ({"network": "UNKNOWN"}, InvalidNetwork),
        ({"network": 3}, InvalidBlock),
        ({"type": "UNKNOWN"}, InvalidBlock),
        ({"type": ...}, InvalidBlock),
        ({"algorithm": "V2"}, InvalidBlock),
        ({"receiverAlgorithm": "v1"}, InvalidBlock),
        ({"publicKey": "AB" * 31}, InvalidBlock),
        ({"publicKey": "AB " * 32}, InvalidBlock),
        ({"publicKey": "0x" + "AB" * 31}, InvalidBlock),
        ({"publicKey": "é" * 64}, InvalidBlock),
        ({"previous": "A" * 63}, InvalidBlock),
        ({"address": OTHER_URI}, InvalidBlock),
        ({"receiverAddress": OTHER_URI}, InvalidBlock),
        ({"address": OTHER_URI.upper()}, InvalidAddress),
        ({"receiverAddress": ""}, InvalidAddress),
    ],
)
def test_impossible_values_are_refused(changes: dict[str, Any], error: type[ProtocolError]) -> None:
    with pytest.raises(error):
        decode_transaction(send_json(**changes))


def test_open_of_another_height_is_refused() -> None:
    document = json.loads(encode_block(TRANSACTIONS[0].block))
    with pytest.raises(InvalidBlock, match="height 1"):
        decode_block(json.dumps(document | {"height": 2}).encode())


def test_entry_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InvalidBlock, match="block type"):
        decode_account_entry(json.dumps(ENTRY_JSON | {"blockType": "UNKNOWN"}).encode())


@pytest.mark.parametrize(
    "data", [b"", b"{", b"null", b"[]]", b'{"type":"SEND","network":"\xff"}', b'{"x":' + b"[" * 100_000, b"1"]
)
@pytest.mark.parametrize("decoder", DECODERS)
def test_what_is_no_document_is_refused(decoder: Callable[[bytes], object], data: bytes) -> None:
    with pytest.raises(InvalidBlock):
        decoder(data)


@given(st.binary(max_size=100), st.sampled_from(DECODERS))
def test_any_bytes_give_a_value_or_a_protocol_error(data: bytes, decoder: Callable[[bytes], object]) -> None:
    try:
        decoder(data)
    except ProtocolError:
        return
    assert json.loads(data) == []
