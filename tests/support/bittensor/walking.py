"""Walks the recorded extrinsics on a sandbox chain."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

from strongroom_sandbox.bittensor.chain.genesis import Genesis
from strongroom_sandbox.bittensor.codec.scale import ScaleError
from strongroom_sandbox.bittensor.execution.failures import PoolRefusal
from strongroom_sandbox.bittensor.node.faults import Wording
from strongroom_sandbox.bittensor.node.node import Node
from strongroom_sandbox.bittensor.server.refusals import bad_format, refused
from strongroom_sandbox.bittensor.server.rpc import RpcError
from support.bittensor.recorded import recorded_steps, unhex
from support.bittensor.signing import signed
from support.clock import ManualClock


@dataclass
class Walked:
    """What a step did here."""

    head: int
    refusal: RpcError | None = None
    events: bytes = b""
    storage: dict[str, str | None] = field(default_factory=dict)
    next_index: int = 0
    statuses: list[Any] = field(default_factory=list)


@cache
def walk() -> dict[str, Walked]:
    """What every step did, by its id. Steps without one only make blocks."""
    node = Node(Genesis(spec_version=293).chain(), ManualClock())
    node.faults.wording = Wording.RECORDED
    node.produce()
    walked: dict[str, Walked] = {}
    for step in recorded_steps():
        if step["step"] == "new_blocks":
            for _ in range(step["count"]):
                node.produce(empty=True)
        elif step["step"] == "storage":
            walked[step["id"]] = Walked(node.chain.head.number, storage=_storage(node, step["storage"]))
        else:
            walked[step["id"]] = _submit(node, step)
    return walked


def _submit(node: Node, step: dict[str, Any]) -> Walked:
    raw = unhex(step["extrinsic"])
    if step["era"]:
        era = step["era"]
        raw = signed(
            node,
            step["signer"]["uri"],
            unhex(step["call_hex"]),
            nonce=step["nonce"],
            tip=step["tip"],
            period=era["period"],
            born=era["birth_block"],
        )
    head, refusal, statuses = node.chain.head.number, None, list[Any]()
    try:
        node.submit(raw, statuses.append)
    except PoolRefusal as error:
        refusal = refused(error, Wording.RECORDED)
    except ScaleError as error:
        refusal = bad_format(error, Wording.RECORDED)
    storage = node.chain.storage
    made = node.chain.head.number > head
    key = storage.runtime.storage_key("System", "Events")
    return Walked(
        node.chain.head.number,
        refusal,
        (storage.state.get(key) or b"") if made else b"",
        _storage(node, step["storage_after"]),
        node.next_index(unhex(step["signer"]["public_key"])),
        statuses,
    )


def _storage(node: Node, entries: list[dict[str, Any]]) -> dict[str, str | None]:
    values = {entry["key"]: node.chain.state.get(unhex(entry["key"])) for entry in entries}
    return {key: None if value is None else "0x" + value.hex() for key, value in values.items()}
