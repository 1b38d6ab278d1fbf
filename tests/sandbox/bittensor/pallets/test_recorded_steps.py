"""The recorded extrinsics, walked in order: the chain does what the real runtime did."""

from typing import Any

import pytest

from support.bittensor.recorded import recorded_steps, unhex
from support.bittensor.walking import walk

EXTRINSICS = [step["id"] for step in recorded_steps() if step["step"] == "extrinsic"]
SNAPSHOTS = [step["id"] for step in recorded_steps() if step["step"] == "storage"]
UNKNOWN_CLOCK = {("Timestamp", "Now")}


def _step(name: str) -> dict[str, Any]:
    return next(step for step in recorded_steps() if step.get("id") == name)


@pytest.mark.parametrize("name", EXTRINSICS)
def test_an_extrinsic_is_taken_or_refused_as_recorded(name: str) -> None:
    step, walked = _step(name), walk()[name]
    expected = step.get("rpc_error")
    assert (walked.refusal and walked.refusal.to_json()) == expected
    assert walked.head == step["head_after"]
    assert walked.next_index == step["account_next_index_after"]


@pytest.mark.parametrize("name", EXTRINSICS)
def test_its_events_are_those_recorded(name: str) -> None:
    step, walked = _step(name), walk()[name]
    assert walked.events.hex() == unhex(step.get("events_raw", "0x")).hex()


@pytest.mark.parametrize("name", EXTRINSICS + SNAPSHOTS)
def test_the_storage_after_it_is_as_recorded(name: str) -> None:
    step, walked = _step(name), walk()[name]
    for entry in step.get("storage_after", []) + step.get("storage", []):
        if (entry["pallet"], entry["item"]) not in UNKNOWN_CLOCK:
            label = f"{entry['pallet']}.{entry['item']}{entry['params']}"
            assert (label, walked.storage[entry["key"]]) == (label, entry["raw"])
