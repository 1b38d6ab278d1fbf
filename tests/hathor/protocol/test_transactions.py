from dataclasses import replace
from typing import Any

import pytest
from coincurve import PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from strongroom.hathor.protocol.addresses import MAINNET, TESTNET, public_key_address, script_address
from strongroom.hathor.protocol.cursor import Cursor, encode_leb128, encode_value
from strongroom.hathor.protocol.errors import ProtocolError, SignatureError
from strongroom.hathor.protocol.hashes import sha256d
from strongroom.hathor.protocol.headers import FeeHeader, NanoHeader
from strongroom.hathor.protocol.scripts import Data, Payment, parse_script, push, pushes
from strongroom.hathor.protocol.signatures import verify_input
from strongroom.hathor.protocol.transactions import parse_transaction
from strongroom.hathor.protocol.work import mine, minimum_weight, verify_work

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
NAMES = (
    "htr_simple",
    "token_big_timelock",
    "authority_outputs",
    "create_token",
    "create_nft",
    "nano_unsigned",
    "fee_header",
)


@pytest.mark.parametrize("name", NAMES)
def test_transaction_vectors(vectors: dict[str, Any], name: str) -> None:
    case = vectors["scripts_and_txs"][name]
    transaction = parse_transaction(bytes.fromhex(case["hex"]))
    assert transaction.encode().hex() == case["hex"]
    assert transaction.id == case["hash"]
    assert transaction.signing_digest().hex() == case["sighash_sha256d"]
    assert transaction.weight == case["weight_field"]
    assert minimum_weight(transaction) == pytest.approx(case["min_weight_node_formula"], abs=1e-9)
    assert transaction.timestamp_s == case["timestamp"]
    assert transaction.nonce == case["nonce"]
    assert [parent.hex() for parent in transaction.parents] == case["parents"]
    inputs = [
        {"tx_id": spent.tx_id.hex(), "index": spent.index, "data": spent.data.hex()}
        for spent in transaction.inputs
    ]
    assert [{k: i[k] for k in ("tx_id", "index")} for i in inputs] == [
        {k: i[k] for k in ("tx_id", "index")} for i in case.get("inputs", [])
    ]


@pytest.mark.parametrize("name", NAMES)
def test_decoded_outputs(vectors: dict[str, Any], name: str) -> None:
    case = vectors["scripts_and_txs"][name]
    transaction = parse_transaction(bytes.fromhex(case["hex"]))
    for output, expected in zip(transaction.outputs, case["outputs"], strict=True):
        assert (output.value, output.token_data) == (expected["value"], expected["token_data"])
        decoded = expected["decoded"]
        script = parse_script(output.script)
        if decoded["type"] == "Data":
            assert script == Data(data=decoded["data"].encode())
        else:
            assert isinstance(script, Payment)
            assert script.address.encode(MAINNET) == decoded["address"]
            assert script.timelock_s == decoded["timelock"]
            assert script.address.kind == decoded["type"]
        assert script is not None
        assert script.encode() == output.script


@pytest.mark.parametrize("name", ["htr_simple", "token_big_timelock", "create_token", "fee_header"])
def test_input_signatures_verify(vectors: dict[str, Any], name: str) -> None:
    transaction = parse_transaction(bytes.fromhex(vectors["scripts_and_txs"][name]["hex"]))
    digest = transaction.signing_digest()
    for spent in transaction.inputs:
        owner = Payment(address=public_key_address(pushes(spent.data)[1]))
        verify_input(digest, spent.data, owner)
        with pytest.raises(SignatureError):
            verify_input(bytes(32), spent.data, owner)


def test_token_ids(vectors: dict[str, Any]) -> None:
    for name in NAMES:
        case = vectors["scripts_and_txs"][name]
        transaction = parse_transaction(bytes.fromhex(case["hex"]))
        for output in transaction.outputs:
            index = output.token_index
            assert transaction.token_id(output.token_data) == (
                "00" if index == 0 else case["tokens"][index - 1]
            )
    simple = parse_transaction(bytes.fromhex(vectors["scripts_and_txs"]["htr_simple"]["hex"]))
    with pytest.raises(ProtocolError, match="no token 2"):
        simple.token_id(2)


def test_headers(vectors: dict[str, Any]) -> None:
    cases = vectors["scripts_and_txs"]
    nano = parse_transaction(bytes.fromhex(cases["nano_unsigned"]["hex"])).headers[0]
    assert isinstance(nano, NanoHeader)
    assert (nano.method, nano.seqnum, len(nano.actions)) == ("bet", 300, 1)
    fee = parse_transaction(bytes.fromhex(cases["fee_header"]["hex"])).headers[0]
    assert isinstance(fee, FeeHeader)
    assert [(item.token_index, item.value) for item in fee.fees] == [(0, 1)]


def test_multisig_scripts(vectors: dict[str, Any]) -> None:
    case = vectors["p2sh"]
    address = script_address(bytes.fromhex(case["redeem"]))
    assert address.hash.hex() == case["hash160"]
    assert address.encode(MAINNET) == case["address_mainnet"]
    assert address.encode(TESTNET) == case["address_testnet"]
    assert Payment(address=address).encode().hex() == case["script"]
    locked = Payment(address=address, timelock_s=1_800_000_000)
    assert locked.encode().hex() == case["script_with_timelock_1800000000"]
    assert parse_script(locked.encode()) == locked


@pytest.mark.parametrize("script", ["", "ac", "51", "76a914", "6a0401020304", "4cff00ac", "0100" * 3])
def test_foreign_scripts_have_no_owner(script: str) -> None:
    assert not isinstance(parse_script(bytes.fromhex(script)), Payment)


@pytest.mark.parametrize("value", [1, 2**31 - 1, 2**31, 2**53 + 1, 2**63])
def test_amounts_round_trip(value: int) -> None:
    assert Cursor(encode_value(value)).value() == value


@pytest.mark.parametrize("value", [0, -1, 2**63 + 1])
def test_impossible_amounts_are_refused(value: int) -> None:
    with pytest.raises(ProtocolError):
        encode_value(value)


@pytest.mark.parametrize("number", [0, 127, 128, 2**40])
def test_leb128_round_trips(number: int) -> None:
    assert Cursor(encode_leb128(number)).leb128() == number


def test_truncated_and_padded_transactions_are_refused(vectors: dict[str, Any]) -> None:
    data = bytes.fromhex(vectors["scripts_and_txs"]["htr_simple"]["hex"])
    for size in range(len(data)):
        with pytest.raises(ProtocolError):
            parse_transaction(data[:size])
    with pytest.raises(ProtocolError):
        parse_transaction(data + b"\0")


def test_mined_transactions_have_their_work(vectors: dict[str, Any]) -> None:
    data = bytes.fromhex(vectors["scripts_and_txs"]["htr_simple"]["hex"])
    light = replace(parse_transaction(data), weight=4.0)
    verify_work(mine(light))
    with pytest.raises(ProtocolError, match="proof of work"):
        verify_work(replace(light, weight=200.0))


def test_both_forms_of_a_signature_count() -> None:
    """The node takes a signature whose s is in the upper half, as some devices make it."""
    digest = sha256d(b"upper")
    key = PrivateKey(b"\7" * 32)
    r, s = decode_dss_signature(key.sign(digest, hasher=None))
    upper = encode_dss_signature(r, CURVE_ORDER - s)
    owner = public_key_address(key.public_key.format())
    verify_input(digest, push(upper) + push(key.public_key.format()), Payment(address=owner))
    with pytest.raises(SignatureError):
        verify_input(sha256d(b"other"), push(upper) + push(key.public_key.format()), Payment(address=owner))
