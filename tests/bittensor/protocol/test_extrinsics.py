"""Payloads, extrinsics, eras and weights against recorded ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from strongroom.bittensor.protocol.eras import IMMORTAL, Era
from strongroom.bittensor.protocol.errors import ProtocolError
from strongroom.bittensor.protocol.extrinsics import Unsigned, blake2_256, compact
from strongroom.bittensor.protocol.failures import Refusal, pool_refusal
from strongroom.bittensor.protocol.weights import (
    WeightSet,
    commit_hash,
    mechanism_index,
    upscaled,
    weight_set,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "bittensor"
RECORDED: dict[str, Any] = json.loads((VECTORS / "extrinsics.json").read_text())
FINNEY: dict[str, Any] = json.loads((VECTORS / "finney_extrinsics.json").read_text())
SIGNATURE = slice(1 + 1 + 32 + 1, 1 + 1 + 32 + 1 + 64)
STEPS = [step for step in RECORDED["steps"] if step["step"] == "extrinsic"]
WRONG_ON_PURPOSE = ("reject_wrong", "reject_changed")
GENUINE = [
    step
    for step in STEPS
    if step.get("signature_matches_payload")
    and step["era"] is None
    and not step["id"].startswith(WRONG_ON_PURPOSE)
]


def raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def body(extrinsic: bytes) -> bytes:
    """Without its length."""
    return extrinsic[{0: 1, 1: 2, 2: 4}[extrinsic[0] & 3] :]


@pytest.mark.parametrize("step", GENUINE, ids=lambda step: step["id"])
def test_a_recorded_extrinsic_comes_out_byte_for_byte(step: dict[str, Any]) -> None:
    genesis = raw(RECORDED["genesis"]["hash"])
    unsigned = Unsigned(
        call=raw(step["call_hex"]),
        era=IMMORTAL,
        nonce=step["nonce"],
        tip=step["tip"],
        spec_version=293,
        transaction_version=1,
        genesis_hash=genesis,
        first_hash=genesis,
    )
    assert unsigned.payload == raw(step["payload"])
    extrinsic = raw(step["extrinsic"])
    rebuilt = unsigned.signed(raw(step["signer"]["public_key"]), body(extrinsic)[SIGNATURE])
    assert rebuilt == extrinsic
    assert blake2_256(rebuilt) == raw(step["extrinsic_hash"])


def test_long_payloads_are_among_them() -> None:
    assert any(len(raw(step["payload"])) == 32 for step in GENUINE)


@pytest.mark.parametrize(
    "vector", FINNEY["vectors"], ids=lambda vector: f"{vector['call']}-{vector['nonce']}"
)
def test_an_extrinsic_of_the_main_network_comes_out_byte_for_byte(vector: dict[str, Any]) -> None:
    era = vector["era"]
    encoded = Era.starting(era["current"], era["period"]).encode() if isinstance(era, dict) else IMMORTAL
    assert encoded == raw(vector["era_hex"])
    unsigned = Unsigned(
        call=raw(vector["call_hex"]),
        era=encoded,
        nonce=vector["nonce"],
        tip=vector["tip"],
        spec_version=FINNEY["spec_version"],
        transaction_version=FINNEY["transaction_version"],
        genesis_hash=raw(FINNEY["genesis_hash"]),
        first_hash=raw(vector["block_hash_in_payload"]),
    )
    assert unsigned.payload == raw(vector["signed_bytes_hex"])
    if vector["scheme"] == "sr25519":
        signed = unsigned.signed(raw(vector["public_key"]), raw(vector["signature"]))
        assert signed == raw(vector["extrinsic_hex"])
        assert blake2_256(signed) == raw(vector["extrinsic_hash"])


@pytest.mark.parametrize(
    ("current", "period", "first", "last"),
    [(6_500_000, 64, 6_500_000, 6_500_063), (100, 60, 100, 163), (100_007, 65_536, 100_000, 165_535)],
)
def test_an_era_knows_its_first_and_last_block(current: int, period: int, first: int, last: int) -> None:
    era = Era.starting(current, period)
    assert (era.first, era.last) == (first, last)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "00"),
        (63, "fc"),
        (64, "0101"),
        (16_383, "fdff"),
        (16_384, "02000100"),
        (2**30 - 1, "feffffff"),
        (2**30, "0300000040"),
        (2**64 - 1, "13ffffffffffffffff"),
    ],
)
def test_compact_numbers(number: int, text: str) -> None:
    assert compact(number).hex() == text


def test_floats_are_normalised_and_zeros_left_out() -> None:
    assert weight_set([0, 1, 2, 3], [0.1, 0.2, 0.7, 0.0], 7) == WeightSet(
        uids=(0, 1, 2), values=(9362, 18724, 65535), version_key=7
    )


def test_integers_pass_unchanged() -> None:
    assert weight_set([1, 2, 3], [100, 0, 300], 1).values == (100, 0, 300)


@pytest.mark.parametrize(
    ("uids", "weights"),
    [
        ([], []),
        ([1], [1, 2]),
        ([1, 1], [1, 2]),
        ([65_536], [1]),
        ([1], [65_536]),
        ([1], [-1]),
        ([1], [float("nan")]),
        ([1, 2], [0.0, 0.0]),
        ([1], [-0.5]),
        ([1], [float("inf")]),
        ([1, 2], [10**400, 0.5]),
        ([1, 2], [10**400, 1]),
    ],
)
def test_weights_that_no_chain_takes_are_refused(uids: list[int], weights: list[float]) -> None:
    with pytest.raises(ProtocolError):
        weight_set(uids, weights, 0)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ([100, 200, 300], [21845, 43690, 65535]),
        ([5, 6], [54613, 65535]),
        ([0, 7, 14], [0, 32768, 65535]),
        ([3, 4], [49151, 65535]),
        ([0, 0], [0, 0]),
        ([1, 65535], [1, 65535]),
    ],
)
def test_the_chain_upscales(given: list[int], stored: list[int]) -> None:
    assert upscaled(given) == stored


def test_a_commit_has_the_recorded_hash() -> None:
    key = raw("0x325c5cfe26f2a4765f36c55554d10ad65668fcfc32f92462cf6f143b2ae5c03a")
    weights = WeightSet(uids=(1, 2, 3), values=(10, 20, 30))
    digest = commit_hash(key, mechanism_index(2, 0), weights, [11, 22, 33, 44, 55, 66, 77, 88])
    assert digest.hex() == "7161111c847d3d6aac74962fac6edab2b82f0beadcf1f75c158f527e830e8004"


@pytest.mark.parametrize(
    ("code", "message", "data", "kind", "name"),
    [
        (1010, '{"invalid":{"stale":null}}', None, Refusal.NONCE_TAKEN, "Stale"),
        (1010, "Invalid Transaction", "Transaction is outdated", Refusal.NONCE_TAKEN, "Stale"),
        (1010, '{"invalid":{"badProof":null}}', None, Refusal.BAD_PROOF, "BadProof"),
        (1010, "Invalid Transaction", "Transaction has a bad signature", Refusal.BAD_PROOF, "BadProof"),
        (1010, '{"invalid":{"custom":1}}', None, Refusal.REFUSED, "StakeAmountTooLow"),
        (1010, "Invalid Transaction", "Custom error: 12", Refusal.REFUSED, "ServingRateLimitExceeded"),
        (1010, "Invalid Transaction", "Custom error: 99", Refusal.REFUSED, "Custom99"),
        (1010, "Invalid Transaction", {"invalid": {"payment": None}}, Refusal.REFUSED, "Payment"),
        (1010, "Invalid Transaction", "something new", Refusal.REFUSED, "Invalid"),
        (1012, "Transaction is temporarily banned", None, Refusal.BANNED, "TemporarilyBanned"),
        (1013, "Transaction Already Imported", "0x00", Refusal.KNOWN, "AlreadyImported"),
        (1014, "Priority is too low: (1 vs 1)", None, Refusal.NONCE_TAKEN, "PriorityTooLow"),
        (1016, "Immediately Dropped", None, Refusal.REFUSED, "ImmediatelyDropped"),
    ],
)
def test_a_pool_refuses_in_either_wording(
    code: int, message: str, data: object, kind: Refusal, name: str
) -> None:
    refusal = pool_refusal(code, message, data)
    assert refusal is not None
    assert (refusal.kind, refusal.failure.name) == (kind, name)


def test_an_error_of_the_node_is_no_refusal() -> None:
    assert pool_refusal(-32603, "Internal error") is None


@pytest.mark.parametrize("reason", ["Custom error: " + "9" * 5_000, '{"invalid":{"' + "x" * 5_000 + '":1}}'])
def test_a_reason_without_end_is_a_refusal_in_few_words(reason: str) -> None:
    refusal = pool_refusal(1010, "Invalid Transaction", reason)
    assert refusal is not None
    assert refusal.kind is Refusal.REFUSED
    assert len(refusal.failure.message) < 300


@pytest.mark.parametrize(
    "step", [step for step in STEPS if step["outcome"] == "rejected"], ids=lambda step: step["id"]
)
def test_every_recorded_refusal_is_understood(step: dict[str, Any]) -> None:
    error = step["rpc_error"]
    refusal = pool_refusal(error["code"], error["message"], error.get("data"))
    assert refusal is not None
    assert refusal.failure.name != "Invalid"
