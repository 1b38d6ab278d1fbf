"""Unmodified SDKs live on the sandbox chain: what they report is what happened."""

import asyncio
from pathlib import Path

import pytest

from strongroom.bittensor.protocol.ss58 import encode_address
from strongroom_sandbox.bittensor.chain.genesis import BALANCES, RAO
from strongroom_sandbox.bittensor.chain.keys import development_pair
from strongroom_sandbox.bittensor.execution import accounts
from strongroom_sandbox.bittensor.sandbox import HOTKEYS, STAKE_RAO
from support.bittensor.sandbox_node import SandboxNode, sandbox_node
from support.bittensor.sdks import sdk

HOTKEY = development_pair(HOTKEYS[0])[0]
ADDRESSES = [encode_address(development_pair(uri)[0]) for uri in HOTKEYS]
WEIGHTS = [(1, 32768), (2, 65535)]

# The first one waits for the installation, which is kept.
pytestmark = pytest.mark.timeout(600)


def check_chain(sandbox: SandboxNode) -> None:
    """What every SDK's day leaves behind."""
    storage = sandbox.node.chain.storage
    assert storage.get("SubtensorModule", "Weights", 2, 0) == WEIGHTS
    axon = storage.get("SubtensorModule", "Axons", 2, HOTKEY)
    assert (axon["ip"], axon["port"]) == (0x01020304, 8091)
    bob = development_pair("//Bob")[0]
    assert accounts.free(storage, bob) == BALANCES["//Bob"] + RAO
    assert storage.get("SubtensorModule", "TotalHotkeyAlpha", HOTKEY, 2) > STAKE_RAO


def check_newcomer(sandbox: SandboxNode) -> None:
    newcomer = development_pair("//Alice//newcomer")[0]
    assert sandbox.node.chain.storage.get("SubtensorModule", "Uids", 2, newcomer) == len(HOTKEYS)


async def test_sdk_9_on_runtime_293(tmp_path: Path) -> None:
    installed = await asyncio.to_thread(sdk, "9.8.3")
    async with sandbox_node(spec_version=293) as sandbox:
        outcomes = await installed.run("sdk9.py", sandbox.ws_url, tmp_path)
        assert outcomes == {
            "set_weights": [True, "Successfully set weights and Finalized."],
            # The SDK wants more than WeightsSetRateLimit blocks, even where that is 0; the chain would take it.
            "set_weights_at_once": [False, "No attempt made. Perhaps it is too soon to commit weights!"],
            "set_weights_unwaited": [True, "Not waiting for finalization or inclusion."],
            "metagraph": [4, ADDRESSES],
            "serve_axon": True,
            "transfer": True,
            "add_stake": True,
            "unstake": True,
            "burned_register": True,
            "tempo": 10,
            "weights": [[0, [list(weight) for weight in WEIGHTS]]],
        }
        check_chain(sandbox)
        check_newcomer(sandbox)


async def test_sdk_10_on_runtime_424(tmp_path: Path) -> None:
    installed = await asyncio.to_thread(sdk, "10.5.0")
    async with sandbox_node(spec_version=424) as sandbox:
        outcomes = await installed.run("sdk10.py", sandbox.ws_url, tmp_path)
        assert outcomes == {
            "set_weights": [True, "set_weights_extrinsic"],
            "commit_weights": [True, "commit_timelocked_weights_extrinsic"],
            "metagraph": [4, ADDRESSES],
            "serve_axon": True,
            "transfer": True,
            "add_stake": True,
            "unstake": True,
            "burned_register": True,
            "tempo": 360,
            "weights": [[0, [list(weight) for weight in WEIGHTS]]],
        }
        check_chain(sandbox)
        check_newcomer(sandbox)


async def test_sdk_11_on_runtime_424(tmp_path: Path) -> None:
    installed = await asyncio.to_thread(sdk, "11.1.0")
    async with sandbox_node(spec_version=424) as sandbox:
        outcomes = await installed.run("sdk11.py", sandbox.ws_url, tmp_path)
        assert outcomes == {
            "set_weights": [True, "WeightsSet"],
            "commit_weights": [True, "TimelockedWeightsCommitted"],
            "metagraph": [4, ADDRESSES],
            "serve_axon": True,
            "transfer": True,
            "add_stake": True,
            "unstake": True,
        }
        check_chain(sandbox)
