import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from atto.protocol.signed import NOW_MS, OTHER_KEY, PUBLIC_KEY, TRANSACTIONS, signed
from atto.protocol.vectors import VECTORS, unhex
from strongroom.atto.protocol import (
    Address,
    InvalidAmount,
    InvalidSignature,
    InvalidTransaction,
    InvalidWork,
    Network,
    ProtocolError,
    Transaction,
    decode_transaction,
    encode_transaction,
    is_work_valid,
    validate_transaction,
)

OPEN, RECEIVE, SEND, CHANGE = TRANSACTIONS
LIVE_GENESIS = unhex(VECTORS["genesis"]["LIVE"]["hex"])
HEX_DIGITS = "0123456789ABCDEF"


def validate(transaction: Transaction, network: Network = Network.LOCAL) -> None:
    validate_transaction(transaction, network=network, now_ms=NOW_MS)


@pytest.mark.parametrize("transaction", TRANSACTIONS, ids=lambda transaction: transaction.block.type.name)
def test_each_kind_is_valid(transaction: Transaction) -> None:
    validate(transaction)


@pytest.mark.parametrize("vector", VECTORS["local_work"])
def test_local_vectors_are_valid(vector: dict[str, Any]) -> None:
    validate(decode_transaction(vector["tx"].encode()))


@pytest.mark.parametrize("network", [Network.LIVE, Network.DEV])
def test_genesis_is_valid(network: Network) -> None:
    validate(Transaction.from_bytes(unhex(VECTORS["genesis"][network.name]["hex"])), network)


def assert_no_flipped_bit_is_accepted(data: bytes, network: Network) -> None:
    size, value = len(data), int.from_bytes(data, "big")
    for bit in range(size * 8):
        with pytest.raises(ProtocolError):
            validate(Transaction.from_bytes((value ^ 1 << bit).to_bytes(size, "big")), network)


def test_no_flipped_bit_of_genesis_is_accepted() -> None:
    assert_no_flipped_bit_is_accepted(LIVE_GENESIS, Network.LIVE)


@pytest.mark.parametrize("transaction", TRANSACTIONS, ids=lambda transaction: transaction.block.type.name)
def test_no_flipped_bit_is_accepted(transaction: Transaction) -> None:
    assert_no_flipped_bit_is_accepted(transaction.to_bytes(), Network.LOCAL)


def other_value(data: st.DataObject, key: str, value: Any) -> Any:
    """Of the same form where it has one, so that only meaning can give the change away."""
    if isinstance(value, int):
        return data.draw(st.integers(0, 2**64 - 1).filter(lambda other: other != value))
    if key.lower().endswith("address"):
        return data.draw(st.sampled_from([Address(public_key=bytes(32)).uri, value[:-1], value[:-1] + "!"]))
    if key in {"type", "network", "algorithm"} or key.endswith("Algorithm"):
        names = ["OPEN", "RECEIVE", "SEND", "CHANGE", "LIVE", "BETA", "DEV", "LOCAL", "V1", "V2", ""]
        return data.draw(st.sampled_from(names).filter(lambda other: other != value))
    at = data.draw(st.integers(0, len(value) - 1))
    digit = data.draw(st.sampled_from(HEX_DIGITS).filter(lambda other: other != value[at]))
    return value[:at] + digit + value[at + 1 :]


@given(st.sampled_from(TRANSACTIONS), st.data())
def test_no_changed_json_field_is_accepted(transaction: Transaction, data: st.DataObject) -> None:
    document = json.loads(encode_transaction(transaction))
    holder = data.draw(st.sampled_from([document, document["block"]]))
    key = data.draw(st.sampled_from([key for key, value in holder.items() if not isinstance(value, dict)]))
    holder[key] = other_value(data, key, holder[key])
    if key == "work":
        # Another work can be as good, by a chance of one in twenty thousand.
        block = transaction.block
        assume(not is_work_valid(block.network, block.timestamp, block.work_target, unhex(holder[key])))
    with pytest.raises(ProtocolError):
        validate(decode_transaction(json.dumps(document).encode()))


@pytest.mark.parametrize(
    ("transaction", "changes", "error", "message"),
    [
        (OPEN, {"network": Network.DEV}, InvalidTransaction, "Block is of network DEV, not LOCAL"),
        (OPEN, {"version": 1}, InvalidTransaction, "Invalid version: version=1 > max=0"),
        (OPEN, {"balance": 0}, InvalidAmount, "Balance must be greater than 0"),
        (RECEIVE, {"balance": 0}, InvalidAmount, "Balance must be greater than 0"),
        (RECEIVE, {"height": 1}, InvalidTransaction, "Height must be greater than 1: height=1"),
        (SEND, {"amount": 0}, InvalidAmount, "Amount must be greater than 0"),
        (SEND, {"receiver_public_key": PUBLIC_KEY}, InvalidTransaction, "You can't send money to yourself"),
        (SEND, {"timestamp": NOW_MS + 60_001}, InvalidTransaction, "Timestamp too far in the future"),
        (SEND, {"timestamp": 1_704_067_199_999}, InvalidWork, "No work is defined before 2024"),
        (SEND, {"previous": bytes(32)}, InvalidWork, "Work is invalid"),
        (CHANGE, {"representative_public_key": PUBLIC_KEY}, InvalidSignature, "Signature is invalid"),
    ],
)
def test_rules_are_told_apart(
    transaction: Transaction, changes: dict[str, Any], error: type[ProtocolError], message: str
) -> None:
    broken = replace(transaction, block=replace(transaction.block, **changes))
    with pytest.raises(error) as refusal:
        validate(broken)
    assert str(refusal.value) == message


def test_timestamp_may_be_a_minute_ahead() -> None:
    validate(signed(replace(SEND.block, timestamp=NOW_MS + 60_000)))


def test_signature_of_another_key_is_refused() -> None:
    with pytest.raises(InvalidSignature):
        validate(signed(replace(CHANGE.block, public_key=OTHER_KEY)))
