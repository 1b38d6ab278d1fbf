from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atto.protocol.signed import TRANSACTIONS
from atto.protocol.strategies import blocks, transactions
from atto.protocol.vectors import VECTORS, unhex, upper_hex
from strongroom.atto.protocol import (
    MAX_SUPPLY_RAW,
    U64_MAX,
    Address,
    Block,
    BlockType,
    InvalidAmount,
    InvalidBlock,
    ProtocolError,
    Transaction,
    parse_block,
    public_key_of,
    sign,
)

OPEN, RECEIVE, SEND, CHANGE = (transaction.block for transaction in TRANSACTIONS)


@pytest.mark.parametrize("vector", [*VECTORS["blocks_commons_json"], *VECTORS["npm_blocks"]])
def test_block_vectors(vector: dict[str, Any]) -> None:
    block = parse_block(unhex(vector["bytes"]))
    assert upper_hex(block.to_bytes()) == vector["bytes"]
    assert upper_hex(block.hash) == vector["hash"]
    assert upper_hex(block.work_target) == vector["target"]


@pytest.mark.parametrize("vector", VECTORS["npm_blocks"])
def test_npm_signatures(vector: dict[str, Any]) -> None:
    block, private_key = parse_block(unhex(vector["bytes"])), unhex(vector["privateKey"])
    assert block.type == BlockType[vector["type"]]
    assert block.public_key == public_key_of(private_key)
    assert block.address == Address(public_key=block.public_key)
    assert upper_hex(sign(private_key, block.hash)) == vector["signature"]


@pytest.mark.parametrize("vector", VECTORS["local_work"])
def test_transaction_vectors(vector: dict[str, Any]) -> None:
    transaction = Transaction.from_bytes(unhex(vector["bytes"]))
    assert upper_hex(transaction.to_bytes()) == vector["bytes"]
    assert upper_hex(transaction.hash) == vector["hash"]


@pytest.mark.parametrize("network", ["LIVE", "DEV"])
def test_genesis_hash(network: str) -> None:
    vector = VECTORS["genesis"][network]
    assert upper_hex(Transaction.from_bytes(unhex(vector["hex"])).hash) == vector["hash"]


@given(blocks)
def test_block_round_trip(block: Block) -> None:
    assert parse_block(block.to_bytes()) == block


@given(transactions)
def test_transaction_round_trip(transaction: Transaction) -> None:
    assert Transaction.from_bytes(transaction.to_bytes()) == transaction


@given(transactions, st.binary(min_size=1, max_size=3))
def test_trailing_and_missing_bytes_are_refused(transaction: Transaction, extra: bytes) -> None:
    for data, parser in (
        (transaction.block.to_bytes(), parse_block),
        (transaction.to_bytes(), Transaction.from_bytes),
    ):
        for changed in (data + extra, data[: -len(extra)], extra + data):
            with pytest.raises(ProtocolError):
                parser(changed)


@given(st.binary(max_size=210))
def test_any_bytes_give_a_value_with_these_bytes_or_a_protocol_error(data: bytes) -> None:
    for parser in (parse_block, Transaction.from_bytes):
        try:
            value = parser(data)
        except ProtocolError:
            continue
        assert value.to_bytes() == data


@given(blocks, st.data())
def test_flipped_bit_gives_another_hash_or_no_block(block: Block, data: st.DataObject) -> None:
    original = block.to_bytes()
    bit = data.draw(st.integers(0, len(original) * 8 - 1))
    flipped = (int.from_bytes(original, "big") ^ 1 << bit).to_bytes(len(original), "big")
    try:
        assert parse_block(flipped).hash != block.hash
    except ProtocolError:
        return


@pytest.mark.parametrize(
    ("block", "changes", "error"),
    [
        (OPEN, {"version": 65536}, InvalidBlock),
        (OPEN, {"version": -1}, InvalidBlock),
        (OPEN, {"public_key": bytes(31)}, InvalidBlock),
        (OPEN, {"send_hash": bytes(33)}, InvalidBlock),
        (OPEN, {"representative_public_key": b""}, InvalidBlock),
        (OPEN, {"balance": MAX_SUPPLY_RAW + 1}, InvalidAmount),
        (OPEN, {"balance": -1}, InvalidAmount),
        (OPEN, {"timestamp": -1}, InvalidBlock),
        (OPEN, {"timestamp": 2**63}, InvalidBlock),
        (RECEIVE, {"height": 0}, InvalidBlock),
        (RECEIVE, {"height": U64_MAX + 1}, InvalidBlock),
        (RECEIVE, {"previous": bytes(31)}, InvalidBlock),
        (RECEIVE, {"send_hash": bytes(31)}, InvalidBlock),
        (SEND, {"receiver_public_key": bytes(31)}, InvalidBlock),
        (SEND, {"amount": MAX_SUPPLY_RAW + 1}, InvalidAmount),
        (SEND, {"amount": -1}, InvalidAmount),
        (CHANGE, {"representative_public_key": bytes(31)}, InvalidBlock),
        (TRANSACTIONS[0], {"signature": bytes(63)}, InvalidBlock),
        (TRANSACTIONS[0], {"work": bytes(9)}, InvalidBlock),
    ],
)
def test_fields_that_cannot_be_serialised_are_refused(
    block: Block | Transaction, changes: dict[str, Any], error: type[ProtocolError]
) -> None:
    with pytest.raises(error):
        replace(block, **changes)


@pytest.mark.parametrize(
    ("block", "at", "value"),
    [
        (OPEN, 0, 4),
        (OPEN, 0, 255),
        (OPEN, 1, 4),
        (OPEN, 1, 9),
        (OPEN, 4, 1),
        (OPEN, 53, 1),
        (OPEN, 86, 1),
        (RECEIVE, 93, 1),
        (SEND, 93, 1),
        (CHANGE, 93, 1),
    ],
)
def test_unknown_type_network_and_algorithm_are_refused(block: Block, at: int, value: int) -> None:
    data = bytearray(block.to_bytes())
    data[at] = value
    with pytest.raises(InvalidBlock, match="Unknown"):
        parse_block(bytes(data))


def test_blocks_are_immutable() -> None:
    with pytest.raises(FrozenInstanceError):
        OPEN.balance = 6  # type: ignore[misc]  # the point of the test
