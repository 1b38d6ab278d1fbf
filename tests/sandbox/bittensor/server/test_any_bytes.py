"""Whatever is handed in, the chain answers in its own words and goes on."""

import contextlib
import random
from typing import Any

import pytest

from strongroom_sandbox.bittensor.chain.genesis import Genesis
from strongroom_sandbox.bittensor.codec.runtime import SPECS
from strongroom_sandbox.bittensor.codec.scale import Reader, ScaleError
from strongroom_sandbox.bittensor.execution.dispatch import PanicError, call_api
from strongroom_sandbox.bittensor.execution.failures import PoolRefusal
from strongroom_sandbox.bittensor.node.node import Node
from strongroom_sandbox.bittensor.sandbox import furnish
from support.bittensor.recorded import recorded_steps, unhex
from support.bittensor.signing import signed
from support.clock import ManualClock

SIGNERS = ("//Alice", "//Alice//hk0")


@pytest.fixture(params=SPECS)
def node(request: pytest.FixtureRequest) -> Node:
    node = Node(Genesis(spec_version=request.param).chain(), ManualClock())
    furnish(node)
    return node


def submit(node: Node, raw: bytes) -> None:
    """Refused, or included. A panic is raised, or tells that the extrinsic is invalid all of a sudden."""
    statuses: list[Any] = []
    try:
        node.submit(raw, statuses.append)
    except (ScaleError, PoolRefusal):
        return
    assert "invalid" not in statuses, raw.hex()


def calls_of_zeros(node: Node, filler: bytes) -> list[bytes]:
    """One call of each function, as far as the filler decodes."""
    runtime = node.chain.runtime
    calls = []
    for pallet in runtime.pallets.values():
        for variant in runtime.types.variants(pallet.calls) if pallet.calls is not None else ():
            reader = Reader(bytes([pallet.index, variant.index]) + filler)
            try:
                runtime.types.codec(runtime.metadata.call_type).decode(reader)
            except ScaleError:
                continue
            calls.append(reader.data[: reader.offset])
    return calls


def test_every_call_runs_or_fails_as_the_chain_may_fail(node: Node) -> None:
    sudo = bytes([node.chain.runtime.pallets["Sudo"].index, 0])
    calls = calls_of_zeros(node, bytes(300)) + calls_of_zeros(node, b"\x02\x00" + bytes(300))
    assert len(calls) > 300
    for call in calls:
        for uri in SIGNERS:
            submit(node, signed(node, uri, call))
        submit(node, signed(node, "//Alice", sudo + call))
    assert not node.pool.waiting


def test_damaged_extrinsics_are_refused_or_run(node: Node) -> None:
    chance = random.Random(7)
    recorded = [unhex(step["call_hex"]) for step in recorded_steps() if "call_hex" in step]
    for _ in range(300):
        call = bytearray(chance.choice(recorded))
        call[chance.randrange(2, len(call))] = chance.randrange(256)
        raw = bytearray(signed(node, chance.choice(SIGNERS), bytes(call)))
        submit(node, bytes(raw))
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        submit(node, bytes(raw[: chance.randrange(len(raw))]))
        submit(node, bytes(raw))


def test_runtime_apis_answer_any_arguments(node: Node) -> None:
    chance = random.Random(7)
    for name in node.chain.runtime.metadata.apis:
        for size in (0, 2, 3, 4, 32, 34, 36, 64, 66):
            data = bytes(chance.choice((0, 1, 2)) for _ in range(size))
            try:
                call_api(node.chain.storage, name, data)
            except ScaleError:
                continue
            except PanicError as panic:
                pytest.fail(f"{name}({data.hex()}): {panic}")


@pytest.mark.parametrize("depth", [1, 40, 80, 160, 256, 3_000])
def test_calls_within_calls_end_in_words_of_the_chain(node: Node, depth: int) -> None:
    runtime = node.chain.runtime
    batch = bytes([runtime.pallets["Utility"].index, 0]) + b"\x04"
    call = batch * depth + bytes([runtime.pallets["System"].index, 0, 0])
    submit(node, signed(node, "//Alice", call))
    with contextlib.suppress(ScaleError, PanicError):
        call_api(node.chain.storage, "TransactionPaymentCallApi_query_call_info", call + bytes(4))
    number = node.chain.head.number
    node.produce()
    assert node.chain.head.number == number + 1
