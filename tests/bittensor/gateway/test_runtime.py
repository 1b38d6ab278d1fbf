"""Calls, events and storage keys against real metadata, and recorded bytes of both runtimes."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from strongroom.bittensor.gateway import CallUnknown, InvalidNodeResponse, Item
from strongroom.bittensor.gateway import runtime as runtimes
from strongroom.bittensor.gateway.runtime import MetadataRuntime
from strongroom.bittensor.protocol import calls
from strongroom.bittensor.protocol.calls import Call
from strongroom.bittensor.protocol.ss58 import decode_address
from strongroom.bittensor.protocol.weights import WeightSet

ROOT = Path(__file__).parents[3]
VECTORS = ROOT / "tests" / "vectors" / "bittensor"
METADATA = ROOT / "src" / "strongroom_sandbox" / "bittensor" / "runtimes"
RECORDED: dict[str, Any] = json.loads((VECTORS / "extrinsics.json").read_text())
FINNEY: dict[str, Any] = json.loads((VECTORS / "finney_extrinsics.json").read_text())
STEPS = [step for step in RECORDED["steps"] if step["step"] == "extrinsic"]


def runtime(version: int, form: str = "v15") -> MetadataRuntime:
    metadata = gzip.decompress((METADATA / f"{version}.{form}.scale.gz").read_bytes())
    return MetadataRuntime(metadata, spec_version=version, transaction_version=1, genesis_hash=bytes(32))


@pytest.fixture(scope="module")
def old() -> MetadataRuntime:
    return runtime(293)


@pytest.fixture(scope="module", params=["v14", "v15"])
def new(request: pytest.FixtureRequest) -> MetadataRuntime:
    return runtime(424, request.param)


@pytest.mark.parametrize(
    "vector", FINNEY["vectors"], ids=lambda vector: f"{vector['call']}-{vector['nonce']}"
)
def test_calls_of_the_main_network_come_out_byte_for_byte(
    new: MetadataRuntime, vector: dict[str, Any]
) -> None:
    raw = bytes.fromhex(vector["call_hex"][2:])
    decoded = new.decode_call(raw)
    assert (decoded.pallet, decoded.function) == (vector["pallet"], vector["call"])
    assert new.encode(decoded) == raw


def test_the_calls_that_set_weights(new: MetadataRuntime, old: MetadataRuntime) -> None:
    weights = WeightSet(uids=(0, 1, 2), values=(9362, 18724, 65535))
    wanted = next(one["call_hex"] for one in FINNEY["vectors"] if one["call"] == "set_mechanism_weights")
    assert f"0x{new.encode(calls.set_mechanism_weights(7, 0, weights)).hex()}" == wanted
    assert (
        old.encode(calls.set_weights(7, weights)).hex()
        == "070007000c0000010002000c92242449ffff0000000000000000"
    )
    assert not old.has("SubtensorModule", "set_mechanism_weights")
    with pytest.raises(CallUnknown):
        old.encode(calls.set_mechanism_weights(7, 0, weights))


@pytest.mark.parametrize(
    "call",
    [
        calls.commit_weights(7, b"\x01" * 32),
        calls.commit_mechanism_weights(7, 1, b"\x01" * 32),
        calls.reveal_mechanism_weights(7, 1, WeightSet(uids=(1,), values=(2,)), [3, 4]),
        calls.commit_timelocked_mechanism_weights(7, 1, b"\x05" * 300, 99, 4),
    ],
    ids=lambda call: call.function,
)
def test_every_call_of_commit_reveal_is_known(new: MetadataRuntime, call: Call) -> None:
    decoded = new.decode_call(new.encode(call))
    assert decoded.function == call.function


@pytest.mark.parametrize("value", [-1, 65_536, "7", None, 1.5])
def test_an_argument_that_does_not_fit_is_refused(new: MetadataRuntime, value: object) -> None:
    call = Call(
        pallet="SubtensorModule",
        function="set_weights",
        arguments={"netuid": value, "dests": [0], "weights": [1], "version_key": 0},
    )
    with pytest.raises(CallUnknown):
        new.encode(call)


@pytest.mark.parametrize("step", [one for one in STEPS if "events_raw" in one], ids=lambda step: step["id"])
def test_recorded_events_are_read(old: MetadataRuntime, step: dict[str, Any]) -> None:
    events = [
        event
        for event in old.decode_events(bytes.fromhex(step["events_raw"][2:]))
        if event.extrinsic == step["block"]["extrinsic_index"]
    ]
    assert [event.name for event in events] == [event["event"] for event in step["events"]]
    if "dispatch_error" in step:
        failure = events[-1].failure
        wanted = step["dispatch_error"]
        assert failure is not None
        if wanted["type"] == "Module":
            assert (failure.type, failure.name, failure.docs) == (
                "Module",
                wanted["name"],
                " ".join(wanted["docs"]).strip(),
            )


@pytest.mark.parametrize("depth", [1, 100, 6_600])
@pytest.mark.parametrize("carrier", ["Utility.batch", "Proxy.proxy", "Sudo.sudo"])
def test_calls_that_carry_calls_are_refused_before_the_codec_sees_them(
    old: MetadataRuntime, new: MetadataRuntime, carrier: str, depth: int
) -> None:
    """Deep in each other they take the codec's process with them, so the metadata's types alone decide."""
    between = {"Utility.batch": b"\x04", "Proxy.proxy": b"\x00" + bytes(32) + b"\x00", "Sudo.sudo": b""}[
        carrier
    ]
    for one in (old, new):
        data = (index_of(one, carrier) + between) * depth + index_of(one, "System.remark") + b"\x00"
        with pytest.raises(CallUnknown, match=f"{carrier} carries other calls"):
            one.decode_call(data)
    remark = index_of(new, "System.remark") + b"\x00"
    assert new.decode_call(remark).name == "System.remark"


def index_of(one: MetadataRuntime, name: str) -> bytes:
    found = (bytes([high, low]) for high in range(256) for low in range(256))
    return next(index for index in found if _name(one, index) == name)


def _name(one: MetadataRuntime, index: bytes) -> str | None:
    try:
        return one.call_name(index)
    except CallUnknown:
        return None


def test_absent_values_are_the_metadatas_defaults(old: MetadataRuntime, new: MetadataRuntime) -> None:
    item = Item("SubtensorModule", "CommitRevealWeightsEnabled", (2,))
    assert (old.decode_value(item, None), new.decode_value(item, None)) == (False, True)
    assert new.decode_value(Item("SubtensorModule", "Uids", (2, bytes(32))), None) is None


def test_recorded_storage_keys(old: MetadataRuntime) -> None:
    items = [
        item for step in RECORDED["steps"] for item in step.get("storage_after") or step.get("storage") or ()
    ]
    checked = 0
    for item in items:
        keys = tuple(_key(value) for value in item["params"])
        made = old.storage_key(Item(item["pallet"], item["item"], keys))
        assert f"0x{made.hex()}" == item["key"], item
        checked += 1
    assert checked > 20


def _key(value: Any) -> int | bytes:
    return decode_address(value) if isinstance(value, str) else int(value)


def test_the_time_between_blocks_is_the_runtimes(old: MetadataRuntime, new: MetadataRuntime) -> None:
    assert (old.block_s, new.block_s) == (1.0, 12.0)


def test_a_runtime_that_signs_in_another_order_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "SIGNED_EXTENSIONS", tuple(reversed(runtimes.SIGNED_EXTENSIONS)))
    with pytest.raises(InvalidNodeResponse, match="order"):
        runtime(424)


def test_what_is_no_metadata_is_refused() -> None:
    with pytest.raises(InvalidNodeResponse):
        MetadataRuntime(b"meta\x0f\xff", spec_version=1, transaction_version=1, genesis_hash=bytes(32))
    with pytest.raises(InvalidNodeResponse):
        MetadataRuntime(b"", spec_version=1, transaction_version=1, genesis_hash=bytes(32))
