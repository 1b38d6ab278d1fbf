"""What clients asked a real runtime for, asked here again: answers of the same shape."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.bittensor.recorded import VECTORS
from support.bittensor.sandbox_node import SandboxNode, sandbox_node

TRANSCRIPTS = sorted(path.stem for path in (VECTORS / "rpc_transcripts").glob("*.jsonl"))
BLOCK_HASH = re.compile(r"0x[0-9a-f]{64}")
SUBMISSIONS = {"author_submitExtrinsic", "author_submitAndWatchExtrinsic", "author_unwatchExtrinsic"}
MAY_BE_ABSENT = {"state_getStorage", "state_getStorageAt", "state_queryStorageAt", "chain_getBlockHash"}


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[SandboxNode]:
    async with sandbox_node(spec_version=293) as node:
        weights = {"pallet": "SubtensorModule", "item": "Weights", "keys": [2, 0], "value": [[1, 65535]]}
        await node.command("/_storage", **weights)
        await node.command("/_chain", blocks=20)
        yield node


def exchanges(name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """(request, answer) in order."""
    frames = [
        json.loads(line) for line in (VECTORS / "rpc_transcripts" / f"{name}.jsonl").read_text().splitlines()
    ]
    requests = {(frame["conn"], frame["msg"]["id"]): frame["msg"] for frame in frames if frame["dir"] == ">"}
    answers = [frame for frame in frames if frame["dir"] == "<" and "id" in frame["msg"]]
    return [(requests[frame["conn"], frame["msg"]["id"]], frame["msg"]) for frame in answers]


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return "hex" if "$file" in value else {key: shape(member) for key, member in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if isinstance(value, str):
        return "hex" if value.startswith("0x") else "text"
    return type(value).__name__


def here(parameter: Any, head: str) -> Any:
    """Blocks of the recorded chain are not on this one: its head stands for them."""
    return head if isinstance(parameter, str) and BLOCK_HASH.fullmatch(parameter) else parameter


@pytest.mark.parametrize("name", TRANSCRIPTS)
async def test_answers_have_the_recorded_shape(sandbox: SandboxNode, name: str) -> None:
    async with sandbox.rpc() as rpc:
        head = await rpc.call("chain_getHead")
        for request, answer in exchanges(name):
            method = request["method"]
            if method in SUBMISSIONS:
                continue
            params = [here(parameter, head) for parameter in request["params"]]
            result = await rpc.call(method, *params)
            wanted, found = shape(answer["result"]), shape(result)
            if method == "rpc_methods":
                wanted.pop("version")
            if method == "state_queryStorageAt":
                wanted[0]["changes"] = found[0]["changes"] = "changes"
            absent = (
                method in MAY_BE_ABSENT and "NoneType" in {wanted, found}
                if isinstance(wanted, str)
                else False
            )
            assert absent or (method, found) == (method, wanted)


@pytest.mark.parametrize("name", TRANSCRIPTS)
async def test_every_method_asked_for_is_named(sandbox: SandboxNode, name: str) -> None:
    async with sandbox.rpc() as rpc:
        named = set((await rpc.call("rpc_methods"))["methods"])
    assert {request["method"] for request, _ in exchanges(name)} <= named
