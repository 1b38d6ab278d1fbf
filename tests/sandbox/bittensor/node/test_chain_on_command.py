"""Forks, finality, upgrades, faults and changes of the state, on command."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import websockets

from strongroom_sandbox.bittensor.chain.keys import development_pair
from strongroom_sandbox.bittensor.codec.runtime import Call
from strongroom_sandbox.bittensor.execution import accounts, dispatch
from support.bittensor.sandbox_node import Rpc, RpcFailed, SandboxNode, sandbox_node
from support.bittensor.signing import signed

ALICE, BOB = development_pair("//Alice")[0], development_pair("//Bob")[0]
BOB_ADDRESS = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"


@pytest.fixture
async def sandbox() -> AsyncIterator[SandboxNode]:
    async with sandbox_node(interval_ms=None) as node:
        yield node


@pytest.fixture
async def rpc(sandbox: SandboxNode) -> AsyncIterator[Rpc]:
    async with sandbox.rpc() as client:
        yield client


def payment(sandbox: SandboxNode, amount: int, **options: Any) -> str:
    call = Call("Balances", "transfer_keep_alive", {"dest": ("Id", BOB), "value": amount})
    return "0x" + signed(sandbox.node, "//Alice", call, **options).hex()


def free(sandbox: SandboxNode, account: bytes) -> int:
    return accounts.free(sandbox.node.chain.storage, account)


async def test_a_fork_takes_an_extrinsic_back_and_includes_it_again(sandbox: SandboxNode, rpc: Rpc) -> None:
    await sandbox.command("/_chain", finality_lag=10)
    before = free(sandbox, BOB)
    await rpc.call("author_submitAndWatchExtrinsic", payment(sandbox, 7))
    (block,) = (await sandbox.command("/_chain", blocks=1))["made"]
    assert free(sandbox, BOB) == before + 7
    status = await sandbox.command("/_chain", fork={"retract": 1, "build": 2, "empty": 1})
    empty, again = status["made"]
    assert block not in {empty, again}
    assert free(sandbox, BOB) == before + 7
    statuses = [await rpc.notification() for _ in range(5)]
    assert statuses[2:] == [{"inBlock": block}, {"retracted": block}, {"inBlock": again}]
    assert (await rpc.call("chain_getBlock", block))["block"]["header"]["number"] == "0x6"
    await sandbox.command("/_chain", finality_lag=0, blocks=1)
    assert await rpc.notification() == {"finalized": again}


async def test_a_fork_without_the_extrinsic_leaves_it_in_the_pool(sandbox: SandboxNode, rpc: Rpc) -> None:
    await sandbox.command("/_chain", finality_lag=10)
    raw, before = payment(sandbox, 7), free(sandbox, BOB)
    await rpc.call("author_submitExtrinsic", raw)
    await sandbox.command("/_chain", blocks=1)
    await sandbox.command("/_chain", fork={"retract": 1, "build": 2, "empty": 2})
    assert free(sandbox, BOB) == before
    assert await rpc.call("author_pendingExtrinsics") == [raw]
    await sandbox.command("/_chain", drop_pool=True)
    assert await rpc.call("author_pendingExtrinsics") == []


async def test_final_blocks_stay(sandbox: SandboxNode) -> None:
    answer = await sandbox.http.post("/_chain", json={"fork": {"retract": 1}})
    assert answer.status_code == 400
    assert "0 blocks may be retracted" in answer.text


async def test_finality_lags_and_stalls(sandbox: SandboxNode, rpc: Rpc) -> None:
    status = await sandbox.command("/_chain", finality_lag=2, blocks=4)
    assert (status["best"]["number"], status["finalized"]["number"]) == (9, 7)
    status = await sandbox.command("/_chain", finality_stalled=True, blocks=3)
    assert (status["best"]["number"], status["finalized"]["number"]) == (12, 7)
    assert await rpc.call("chain_getFinalizedHead") == status["finalized"]["hash"]
    status = await sandbox.command("/_chain", finality_stalled=False, blocks=1)
    assert status["finalized"]["number"] == 11


async def test_an_era_that_ended_makes_a_waiting_extrinsic_invalid(sandbox: SandboxNode, rpc: Rpc) -> None:
    await rpc.call("author_submitAndWatchExtrinsic", payment(sandbox, 7, period=4))
    await sandbox.command("/_chain", blocks=4, empty=True)
    await sandbox.command("/_chain", blocks=1)
    assert [await rpc.notification() for _ in range(3)][2] == "invalid"


async def test_the_runtime_is_upgraded_in_the_middle(sandbox: SandboxNode, rpc: Rpc) -> None:
    await rpc.call("state_subscribeRuntimeVersion")
    assert (await rpc.notification())["specVersion"] == 293
    signed_before = payment(sandbox, 7)
    status = await sandbox.command("/_chain", upgrade=424)
    assert (await rpc.notification())["specVersion"] == 424
    (upgraded,) = status["made"]
    parent = (await rpc.call("chain_getHeader", upgraded))["parentHash"]
    versions = [(await rpc.call("state_getRuntimeVersion", at))["specVersion"] for at in (parent, upgraded)]
    assert versions == [293, 424]
    with pytest.raises(RpcFailed, match="bad signature"):
        await rpc.call("author_submitExtrinsic", signed_before)
    before = free(sandbox, BOB)
    await rpc.call("author_submitExtrinsic", payment(sandbox, 7))
    await sandbox.command("/_chain", blocks=1)
    assert free(sandbox, BOB) == before + 7
    keys = dict(sandbox.node.chain.storage.entries("SubtensorModule", "Keys", 2))
    assert len(keys) == 4


async def test_a_bumped_spec_version_alone(sandbox: SandboxNode, rpc: Rpc) -> None:
    await sandbox.command("/_chain", upgrade=294)
    assert (await rpc.call("state_getRuntimeVersion"))["specVersion"] == 294
    await rpc.call("author_submitExtrinsic", payment(sandbox, 7))
    await sandbox.command("/_chain", blocks=1)


async def test_the_faucet_pays_in_a_block_of_its_own(sandbox: SandboxNode, rpc: Rpc) -> None:
    before = free(sandbox, BOB)
    paid = await sandbox.command("/_faucet", address=BOB_ADDRESS, amount=500)
    assert paid == {"block": await rpc.call("chain_getHead"), "free": before + 500}
    for body in ({"address": "x", "amount": 1}, {"address": "//New", "amount": 1}, {"amount": 1}, {}):
        assert (await sandbox.http.post("/_faucet", json=body)).status_code == 400


async def test_subnets_neurons_and_settings(sandbox: SandboxNode) -> None:
    settings = {"Tempo": 5, "WeightsSetRateLimit": 0, "CommitRevealWeightsEnabled": True}
    netuid = (await sandbox.command("/_subnet", coldkey="//Bob", hotkey="//Bob//owner", settings=settings))[
        "netuid"
    ]
    neuron = {"netuid": netuid, "coldkey": "//Bob", "stake": 10**9, "permit": True}
    assert await sandbox.command("/_neuron", hotkey="//Bob//one", **neuron) == {"uid": 1}
    assert await sandbox.command("/_neuron", hotkey="//Bob//one", **neuron) == {"uid": 1}
    await sandbox.command("/_subnet", netuid=netuid, settings={"Tempo": 7})
    await sandbox.command("/_storage", pallet="SubtensorModule", item="Burn", keys=[netuid], value=12)
    storage = sandbox.node.chain.storage
    assert netuid == 3
    assert storage.get("SubtensorModule", "Tempo", netuid) == 7
    assert storage.get("SubtensorModule", "Burn", netuid) == 12
    assert storage.get("SubtensorModule", "ValidatorPermit", netuid) == [False, True]
    assert storage.get("SubtensorModule", "SubnetOwner", netuid) == BOB
    wrong = await sandbox.http.post("/_subnet", json={"netuid": netuid, "settings": {"Tempo": 70_000}})
    assert wrong.status_code == 400
    assert storage.get("SubtensorModule", "Tempo", netuid) == 7


async def test_a_refusal_of_a_method_on_command(sandbox: SandboxNode, rpc: Rpc) -> None:
    refusal = {"method": "author_submitExtrinsic", "code": 1016, "message": "Immediately Dropped", "count": 2}
    await sandbox.command("/_fault", refusal=refusal)
    raw = payment(sandbox, 7)
    for _ in range(2):
        with pytest.raises(RpcFailed, match="Immediately Dropped"):
            await rpc.call("author_submitExtrinsic", raw)
    await rpc.call("author_submitExtrinsic", raw)


@pytest.mark.parametrize(("fault", "taken"), [("drop_submission", 0), ("drop_reply", 1)])
async def test_a_connection_breaks_around_a_submission(
    sandbox: SandboxNode, rpc: Rpc, fault: str, taken: int
) -> None:
    await sandbox.command("/_fault", **{fault: 1})
    with pytest.raises(websockets.ConnectionClosedError):
        await rpc.call("author_submitExtrinsic", payment(sandbox, 7))
    async with sandbox.rpc() as other:
        assert len(await other.call("author_pendingExtrinsics")) == taken


async def test_the_node_goes_down_and_comes_back(sandbox: SandboxNode, rpc: Rpc) -> None:
    await sandbox.command("/_fault", down_ms=60_000)
    with pytest.raises(websockets.ConnectionClosedError):
        await rpc.call("system_chain")
    with pytest.raises((websockets.WebSocketException, OSError)):
        await sandbox.rpc().__aenter__()
    await sandbox.command("/_fault", drop_connections=True)
    async with sandbox.rpc() as other:
        assert await other.call("system_chain") == "Bittensor"


async def test_a_silent_node_and_lost_notifications(sandbox: SandboxNode, rpc: Rpc) -> None:
    await sandbox.command("/_fault", drop_notifications=2)
    await rpc.call("author_submitAndWatchExtrinsic", payment(sandbox, 7))
    await sandbox.command("/_chain", blocks=1)
    assert list(await rpc.notification()) == ["inBlock"]
    await sandbox.command("/_fault", silent=True)
    asking = asyncio.ensure_future(rpc.call("system_chain"))
    await asyncio.wait([asking], timeout=0.05)
    assert not asking.done()
    asking.cancel()
    assert (await sandbox.http.delete("/_fault")).json()["silent"] is False


async def test_a_node_that_lies_about_itself(sandbox: SandboxNode, rpc: Rpc) -> None:
    lies = {"genesis_hash": "0x" + "66" * 32, "spec_version": 1, "next_index_by": 5}
    await sandbox.command("/_fault", lies=lies)
    assert await rpc.call("chain_getBlockHash", 0) == lies["genesis_hash"]
    assert (await rpc.call("state_getRuntimeVersion"))["specVersion"] == 1
    assert await rpc.call("account_nextIndex", BOB_ADDRESS) == 5
    assert (await sandbox.http.post("/_fault", json={"nonsense": 1})).status_code == 400


@pytest.mark.parametrize("where", ["call", "check", "api"])
async def test_a_faulty_pallet_stops_neither_blocks_nor_connections(
    sandbox: SandboxNode, rpc: Rpc, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def panic(*_: Any, **__: Any) -> None:
        raise KeyError("a fault")

    transfer = ("Balances", "transfer_keep_alive")
    raw = payment(sandbox, 7)
    if where == "call":
        monkeypatch.setitem(dispatch.CALLS, transfer, dispatch.CallRule(panic, dispatch.Weight(0)))
        await rpc.call("author_submitAndWatchExtrinsic", raw)
        await sandbox.command("/_chain", blocks=1)
        assert [await rpc.notification() for _ in range(3)][2] == "invalid"
    elif where == "check":
        monkeypatch.setitem(dispatch.VALIDATIONS, transfer, panic)
        with pytest.raises(RpcFailed, match="Inspection Error"):
            await rpc.call("author_submitExtrinsic", raw)
    else:
        monkeypatch.setitem(dispatch.APIS, "Metadata_metadata_versions", panic)
        with pytest.raises(RpcFailed, match="Execution failed"):
            await rpc.call("state_call", "Metadata_metadata_versions", "0x")
    status = await sandbox.command("/_chain", blocks=1)
    assert status["waiting"] == []
    nonce = accounts.nonce(sandbox.node.chain.storage, ALICE)
    assert nonce == 0


async def test_what_waits_in_a_stalled_chain_comes_into_a_block_when_it_goes_on(
    sandbox: SandboxNode, rpc: Rpc
) -> None:
    await sandbox.command("/_chain", interval_ms=0, stalled=True)
    await rpc.call("author_submitExtrinsic", payment(sandbox, 7))
    assert (await sandbox.command("/_chain"))["best"]["number"] == 5
    status = await sandbox.command("/_chain", stalled=False)
    assert (await rpc.call("author_pendingExtrinsics"), status["waiting"]) == ([], [])


async def test_calls_of_the_new_runtime_work_after_an_upgrade(sandbox: SandboxNode, rpc: Rpc) -> None:
    await sandbox.command("/_chain", upgrade=424, interval_ms=0)
    args = {"netuid": 2, "mecid": 0, "dests": [1, 2], "weights": [1, 2], "version_key": 0}
    call = Call("SubtensorModule", "set_mechanism_weights", args)
    await rpc.call("author_submitExtrinsic", "0x" + signed(sandbox.node, "//Alice//hk0", call).hex())
    storage = sandbox.node.chain.storage
    assert storage.get("SubtensorModule", "Weights", 2, 0) == [(1, 32768), (2, 65535)]


async def test_a_timelocked_commit_opens_as_it_is_told(sandbox: SandboxNode) -> None:
    settings = {"CommitRevealWeightsEnabled": True, "Tempo": 5}
    await sandbox.command("/_subnet", netuid=2, settings=settings)
    unknown = {"netuid": 2, "hotkey": "//Alice//hk0", "uids": [1, 2], "values": [1, 3]}
    with pytest.raises(AssertionError, match="no timelocked commit"):
        await sandbox.command("/_reveal", **unknown)
    spec_version = sandbox.node.chain.runtime.spec_version
    commit = {"netuid": 2, "commit": b"sealed", "reveal_round": 1}
    version = {"commit_reveal_version": 4} if spec_version == 424 else {}
    name = "commit_timelocked_weights" if spec_version == 424 else "commit_crv3_weights"
    call = Call("SubtensorModule", name, commit | version)
    sandbox.node.submit(signed(sandbox.node, "//Alice//hk0", call))
    await sandbox.command("/_chain", blocks=1)
    told = await sandbox.command("/_reveal", **unknown)
    assert told == {"ciphertext": "0x" + b"sealed".hex()}
    await sandbox.command("/_chain", blocks=12)
    weights = sandbox.node.chain.storage.get("SubtensorModule", "Weights", 2, 0)
    assert weights == [(1, 21845), (2, 65535)]


async def test_a_higher_priority_takes_the_place_of_the_same_nonce(sandbox: SandboxNode, rpc: Rpc) -> None:
    weights = {"netuid": 2, "dests": [1], "weights": [1], "version_key": 0}
    axon = {"netuid": 2, "version": 1, "ip": 1 << 24, "port": 80, "ip_type": 4, "protocol": 4}
    axon |= {"placeholder1": 0, "placeholder2": 0}
    low = Call("SubtensorModule", "set_weights", weights)
    high = Call("SubtensorModule", "serve_axon", axon)
    raw = signed(sandbox.node, "//Alice//hk0", low, nonce=0)
    await rpc.call("author_submitAndWatchExtrinsic", "0x" + raw.hex())
    other = "0x" + signed(sandbox.node, "//Alice//hk0", high, nonce=0).hex()
    winner = await rpc.call("author_submitExtrinsic", other)
    assert [await rpc.notification() for _ in range(3)][2] == {"usurped": winner}
    assert await rpc.call("author_pendingExtrinsics") == [other]


async def test_watchers_are_told_when_finality_does_not_come(
    sandbox: SandboxNode, rpc: Rpc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strongroom_sandbox.bittensor.node.node.FINALITY_TIMEOUT", 3)
    await sandbox.command("/_chain", finality_stalled=True)
    await rpc.call("author_submitAndWatchExtrinsic", payment(sandbox, 7))
    (block, *_) = (await sandbox.command("/_chain", blocks=5))["made"]
    statuses = [await rpc.notification() for _ in range(4)]
    assert statuses[2:] == [{"inBlock": block}, {"finalityTimeout": block}]
