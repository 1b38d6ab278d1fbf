"""Names to bytes and back, against what the real runtime wrote."""

import pytest

from strongroom_sandbox.bittensor.codec.runtime import SPECS, Call, Event, Runtime, shipped_runtime
from strongroom_sandbox.bittensor.codec.scale import Reader, ScaleError
from strongroom_sandbox.bittensor.execution.dispatch import Context
from strongroom_sandbox.bittensor.state.state import State
from support.bittensor.recorded import recorded_steps, unhex

HOTKEY = bytes(range(32))


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return shipped_runtime(293)


def test_calls_that_were_signed_decode_and_encode(runtime: Runtime) -> None:
    calls = [unhex(step["call_hex"]) for step in recorded_steps() if "call_hex" in step]
    assert len(calls) == 113
    for data in calls:
        assert runtime.encode_call(runtime.decode_call(data)) == data


def test_a_call_by_name(runtime: Runtime) -> None:
    data = unhex("0x070702007a81bf5d42ed5413134fa6259c2e92e8e44dbcbf5b8bb94e95376d573af46176")
    expected = Call("SubtensorModule", "burned_register", {"netuid": 2, "hotkey": data[4:]})
    assert runtime.decode_call(data) == expected


def test_recorded_events_encode_as_they_were(runtime: Runtime) -> None:
    for step in recorded_steps():
        if "events_raw" in step:
            raw = unhex(step["events_raw"])
            assert runtime.encode_events(_events(runtime, raw)) == raw


def test_recorded_storage_keys_and_values(runtime: Runtime) -> None:
    count = 0
    for step in recorded_steps():
        for entry in step.get("storage_after", []) + step.get("storage", []):
            pallet, item, key = entry["pallet"], entry["item"], unhex(entry["key"])
            keys = runtime.split_storage_key(pallet, item, key)
            assert runtime.storage_key(pallet, item, *keys) == key
            if entry["raw"] is not None:
                value = runtime.decode_value(pallet, item, unhex(entry["raw"]))
                assert runtime.encode_value(pallet, item, value) == unhex(entry["raw"])
            count += 1
    assert count > 300


@pytest.mark.parametrize("spec", SPECS)
def test_every_default_constant_and_api_of_a_runtime_is_understood(spec: int) -> None:
    runtime = shipped_runtime(spec)
    for pallet in runtime.pallets.values():
        for item in pallet.storage:
            runtime.default_value(pallet.name, item)
            runtime.key_parts(pallet.name, item)
        for name in pallet.constants:
            runtime.constant(pallet.name, name)
    for name in runtime.metadata.apis:
        runtime.types.codec(runtime.api(name).output)
    assert runtime.spec_version == spec


def test_names_that_a_runtime_does_not_have(runtime: Runtime) -> None:
    assert not runtime.has_call("SubtensorModule", "set_mechanism_weights")
    assert shipped_runtime(424).has_call("SubtensorModule", "set_mechanism_weights")
    for wrong in (
        lambda: runtime.storage_key("SubtensorModule", "Nonsense"),
        lambda: runtime.module_error("SubtensorModule", "Nonsense"),
        lambda: runtime.encode_event(Event("SubtensorModule", "Nonsense", None)),
        lambda: runtime.encode_event(Event("SubtensorModule", "WeightsSet", (1, "x"))),
        lambda: runtime.encode_value("SubtensorModule", "Tempo", 70_000),
        lambda: runtime.decode_call(b"\x07"),
        lambda: runtime.decode_call(unhex("0x0200") + b"\x00" * 20),
    ):
        with pytest.raises(ScaleError):
            wrong()


def test_a_savepoint_takes_back_state_and_events(runtime: Runtime) -> None:
    ctx = Context(runtime, State())
    ctx.put("SubtensorModule", "Tempo", 2, value=10)
    ctx.deposit_event("SubtensorModule", "WeightsSet", (2, 0))

    def fail() -> None:
        with ctx.savepoint():
            ctx.put("SubtensorModule", "Tempo", 2, value=20)
            ctx.put("SubtensorModule", "Uids", 2, HOTKEY, value=0)
            ctx.deposit_event("SubtensorModule", "WeightsSet", (2, 1))
            with ctx.savepoint():
                ctx.remove("SubtensorModule", "Tempo", 2)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert ctx.get("SubtensorModule", "Tempo", 2) == 10
    assert ctx.get("SubtensorModule", "Uids", 2, HOTKEY) is None
    assert [event.content for event in ctx.events] == [(2, 0)]
    assert list(ctx.entries("SubtensorModule", "Tempo")) == [((2,), 10)]


def _events(runtime: Runtime, raw: bytes) -> list[tuple[object, Event]]:
    reader = Reader(raw)
    events: list[tuple[object, Event]] = []
    for _ in range(reader.compact()):
        phase: object = ("Finalization", "Initialization")[kind - 1] if (kind := reader.integer(1)) else None
        phase = phase or ("ApplyExtrinsic", reader.integer(4))
        pallet, event = runtime.types.codec(runtime.metadata.event_type).decode(reader)
        name, content = (event, None) if isinstance(event, str) else event
        assert reader.compact() == 0
        events.append((phase, Event(pallet, name, content)))
    reader.end()
    return events
