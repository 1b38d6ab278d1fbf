"""The node's JSON-RPC: what clients ask on their way, in the shapes they expect."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from strongroom_sandbox.bittensor.chain.keys import development_pair
from strongroom_sandbox.bittensor.codec.runtime import Call
from support.bittensor.sandbox_node import Rpc, RpcFailed, SandboxNode, sandbox_node
from support.bittensor.signing import signed
from support.waiting import PATIENCE_S

ALICE = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
BOB = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"
WEIGHTS = {"netuid": 2, "dests": [1, 2], "weights": [10, 20], "version_key": 0}
SET_WEIGHTS = Call("SubtensorModule", "set_weights", WEIGHTS)
VALIDATOR = "//Alice//hk0"


@pytest.fixture
async def sandbox() -> AsyncIterator[SandboxNode]:
    async with sandbox_node() as node:
        yield node


@pytest.fixture
async def rpc(sandbox: SandboxNode) -> AsyncIterator[Rpc]:
    async with sandbox.rpc() as client:
        yield client


def pay(amount: int, nonce: int | None = None) -> tuple[Call, int | None]:
    bob = development_pair("//Bob")[0]
    return Call("Balances", "transfer_keep_alive", {"dest": ("Id", bob), "value": amount}), nonce


def payment(sandbox: SandboxNode, amount: int, **options: Any) -> str:
    call, _ = pay(amount)
    return "0x" + signed(sandbox.node, "//Alice", call, **options).hex()


async def test_a_chain_can_be_read_from_its_head_to_its_genesis(rpc: Rpc) -> None:
    block_hash = await rpc.call("chain_getHead")
    numbers = []
    while block_hash != "0x" + "00" * 32:
        header = await rpc.call("chain_getHeader", block_hash)
        block = (await rpc.call("chain_getBlock", block_hash))["block"]
        assert block["header"] == header
        numbers.append(int(header["number"], 16))
        assert await rpc.call("chain_getBlockHash", numbers[-1]) == block_hash
        block_hash = header["parentHash"]
    assert numbers == [5, 4, 3, 2, 1, 0]
    assert await rpc.call("chain_getBlockHash", 0) == "0x" + "45" * 32
    assert await rpc.call("chain_getBlockHash", 6) is None
    assert await rpc.call("chain_getFinalizedHead") == await rpc.call("chain_getHead")


async def test_the_parent_of_genesis_has_a_runtime(rpc: Rpc) -> None:
    version = await rpc.call("state_getRuntimeVersion", "0x" + "00" * 32)
    assert (version["specVersion"], version["transactionVersion"]) == (293, 1)


async def test_runtime_calls_take_data_with_and_without_0x(rpc: Rpc) -> None:
    bare = await rpc.call("state_call", "Metadata_metadata_at_version", "0f000000")
    assert bare == await rpc.call("state_call", "Metadata_metadata_at_version", "0x0f000000", None)
    assert len(bare) == 528122 + 2 - 2
    assert (await rpc.call("state_getMetadata"))[:10] == "0x6d657461"
    alice = development_pair("//Alice")[0].hex()
    assert await rpc.call("state_call", "AccountNonceApi_account_nonce", alice) == "0x00000000"


async def test_a_watched_extrinsic_tells_its_way(sandbox: SandboxNode, rpc: Rpc) -> None:
    raw = "0x" + signed(sandbox.node, VALIDATOR, SET_WEIGHTS).hex()
    subscription = await rpc.call("author_submitAndWatchExtrinsic", raw)
    head = await rpc.call("chain_getHead")
    statuses = [await rpc.notification() for _ in range(4)]
    assert statuses[0] == "ready"
    assert list(statuses[1]) == ["broadcast"]
    assert statuses[2:] == [{"inBlock": head}, {"finalized": head}]
    assert await rpc.call("author_unwatchExtrinsic", subscription) is False
    assert (await rpc.call("chain_getBlock", head))["block"]["extrinsics"][1] == raw


async def test_a_subscription_can_be_ended_before(sandbox: SandboxNode, rpc: Rpc) -> None:
    await sandbox.command("/_chain", interval_ms=None)
    subscription = await rpc.call("author_submitAndWatchExtrinsic", payment(sandbox, 10**9))
    assert await rpc.notification() == "ready"
    assert list(await rpc.notification()) == ["broadcast"]
    assert await rpc.call("author_unwatchExtrinsic", subscription) is True
    await sandbox.command("/_chain", blocks=1)
    assert await rpc.call("system_chain") == "Bittensor"
    assert rpc.notifications == []


async def test_the_next_index_counts_the_pool(sandbox: SandboxNode, rpc: Rpc) -> None:
    await sandbox.command("/_chain", interval_ms=None)
    for nonce in (0, 1, 3):
        await rpc.call("author_submitExtrinsic", payment(sandbox, 10**9, nonce=nonce))
    assert await rpc.call("system_accountNextIndex", ALICE) == 2
    assert len(await rpc.call("author_pendingExtrinsics")) == 3
    await sandbox.command("/_chain", blocks=1)
    assert await rpc.call("account_nextIndex", ALICE) == 2
    await rpc.call("author_submitExtrinsic", payment(sandbox, 10**9, nonce=2))
    assert await rpc.call("account_nextIndex", ALICE) == 4


async def test_a_future_extrinsic_waits_for_those_before_it(sandbox: SandboxNode, rpc: Rpc) -> None:
    await rpc.call("author_submitAndWatchExtrinsic", payment(sandbox, 10**9, nonce=1))
    assert await rpc.notification() == "future"
    await rpc.call("author_submitExtrinsic", payment(sandbox, 10**9, nonce=0))
    assert await rpc.notification() == "ready"
    assert list(await rpc.notification()) == ["broadcast"]
    assert list(await rpc.notification()) == ["inBlock"]


@pytest.mark.parametrize(
    ("raw", "code", "message"),
    [("0xdeadbeef", 1002, "Inspection Error"), ("zz", -32602, "Invalid params"), (7, -32602, "Invalid")],
)
async def test_what_is_no_extrinsic(rpc: Rpc, raw: Any, code: int, message: str) -> None:
    with pytest.raises(RpcFailed) as failed:
        await rpc.call("author_submitExtrinsic", raw)
    assert failed.value.error["code"] == code
    assert message in failed.value.error["message"]


async def test_refusals_of_the_pool(sandbox: SandboxNode, rpc: Rpc) -> None:
    async def refused(raw: str) -> tuple[int, str, Any]:
        with pytest.raises(RpcFailed) as failed:
            await rpc.call("author_submitExtrinsic", raw)
        error = failed.value.error
        return error["code"], error["message"], error.get("data")

    first = payment(sandbox, 10**9, nonce=0)
    await rpc.call("author_submitExtrinsic", first)
    assert await refused(first) == (1012, "Transaction is temporarily banned", None)
    stale = payment(sandbox, 10**9 + 1, nonce=0)
    assert await refused(stale) == (1010, "Invalid Transaction", "Transaction is outdated")
    forged = payment(sandbox, 10**9)
    forged = forged[:-2] + ("00" if forged[-2:] != "00" else "01")
    assert (await refused(forged))[0] in {1002, 1010}
    unpaid = "0x" + signed(sandbox.node, "//Alice//hk1", pay(1000)[0]).hex()
    assert await refused(unpaid) == (
        1010,
        "Invalid Transaction",
        "Inability to pay some fees (e.g. account balance too low)",
    )
    await sandbox.command("/_chain", interval_ms=None)
    waiting = payment(sandbox, 5)
    await rpc.call("author_submitExtrinsic", waiting)
    assert (await refused(waiting))[:2] == (1013, "Transaction Already Imported")
    code, message, reason = await refused(payment(sandbox, 6, nonce=1))
    assert (code, message[:24]) == (1014, "Priority is too low: (18")
    assert "too low priority to replace" in reason


async def test_the_recorded_wording_on_demand(sandbox: SandboxNode, rpc: Rpc) -> None:
    await sandbox.command("/_fault", wording="recorded")
    raw = payment(sandbox, 10**9)
    await rpc.call("author_submitAndWatchExtrinsic", raw)
    assert await rpc.notification() == {"ready": None}
    with pytest.raises(RpcFailed) as failed:
        await rpc.call("author_submitExtrinsic", raw)
    assert failed.value.error == {"code": 1010, "message": '{"invalid":{"stale":null}}'}


async def test_storage_by_key_by_page_and_in_bulk(rpc: Rpc, sandbox: SandboxNode) -> None:
    runtime = sandbox.node.chain.runtime
    prefix = "0x" + runtime.storage_key("SubtensorModule", "Keys", 2).hex()
    first = await rpc.call("state_getKeysPaged", prefix, 3, prefix)
    rest = await rpc.call("state_getKeysPaged", prefix, 3, first[-1], None)
    assert len(first) == 3
    assert len(rest) == 1
    assert first + rest == await rpc.call("state_getKeys", prefix)
    head = await rpc.call("chain_getHead")
    (bulk,) = await rpc.call("state_queryStorageAt", [*first, prefix], head)
    assert bulk["block"] == head
    assert [change[0] for change in bulk["changes"]] == [*first, prefix]
    assert bulk["changes"][-1][1] is None
    assert bulk["changes"][0][1] == await rpc.call("state_getStorageAt", first[0], head)
    genesis = await rpc.call("chain_getBlockHash", 0)
    assert await rpc.call("state_getStorage", first[0], genesis) is None


async def test_fees_are_told_as_charged(sandbox: SandboxNode, rpc: Rpc) -> None:
    raw = payment(sandbox, 10**9)
    info = await rpc.call("payment_queryInfo", raw)
    before = sandbox.node.chain.storage.get("System", "Account", development_pair("//Alice")[0])
    await rpc.call("author_submitExtrinsic", raw)
    after = sandbox.node.chain.storage.get("System", "Account", development_pair("//Alice")[0])
    spent = before["data"]["free"] - after["data"]["free"] - 10**9
    assert (info["class"], int(info["partialFee"])) == ("normal", spent)


async def test_new_heads_and_changed_storage_are_told(sandbox: SandboxNode, rpc: Rpc) -> None:
    account = (
        "0x" + sandbox.node.chain.runtime.storage_key("System", "Account", development_pair("//Bob")[0]).hex()
    )
    await rpc.call("state_subscribeStorage", [account])
    assert (await rpc.notification())["changes"][0][0] == account
    heads = await rpc.call("chain_subscribeNewHeads")
    assert (await rpc.notification())["number"] == "0x5"
    await sandbox.command("/_chain", blocks=1)
    assert (await rpc.notification())["number"] == "0x6"
    await sandbox.command("/_faucet", address=BOB, amount=5)
    news = [await rpc.notification() for _ in range(2)]
    assert sorted(len(item) for item in news) == [2, 5]
    assert await rpc.call("chain_unsubscribeNewHeads", heads) is True


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("nonsense", [], -32601),
        ("chain_getBlockHash", ["x"], -32602),
        ("chain_getHeader", [1, 2, 3], -32602),
        ("state_getStorage", ["0x00", "0x" + "11" * 32], 4003),
        ("state_call", ["Nonsense_api", "0x"], 4003),
        ("state_call", ["AccountNonceApi_account_nonce", "0x00"], 4003),
        ("state_getKeysPaged", ["0x", 100_000], -32602),
        ("account_nextIndex", ["nobody"], -32602),
        ("state_queryStorageAt", ["0x"], -32602),
    ],
)
async def test_wrong_requests_get_an_error_and_nothing_breaks(
    rpc: Rpc, method: str, params: list[Any], code: int
) -> None:
    with pytest.raises(RpcFailed) as failed:
        await rpc.call(method, *params)
    assert failed.value.error["code"] == code
    assert await rpc.call("system_health") == {"peers": 0, "isSyncing": False, "shouldHavePeers": False}


async def test_frames_that_are_no_requests_and_batches(rpc: Rpc, sandbox: SandboxNode) -> None:
    for frame, code in (("{", -32700), ("[]", -32600), ("7", -32600), ('{"id":1}', -32600)):
        await rpc.socket.send(frame)
        assert f'"code":{code}' in str(await rpc.socket.recv())
    await rpc.socket.send('[{"id":"a","method":"system_name"},{"id":2,"method":"system_chain"}]')
    assert '"id":"a"' in str(await rpc.socket.recv())
    answer = await sandbox.http.post("/", json={"id": 1, "method": "system_chain", "params": []})
    assert answer.json() == {"jsonrpc": "2.0", "id": 1, "result": "Bittensor"}


async def test_blocks_come_by_themselves_at_an_interval(sandbox: SandboxNode, rpc: Rpc) -> None:
    await sandbox.command("/_chain", interval_ms=1)
    await rpc.call("chain_subscribeNewHeads")
    async with asyncio.timeout(PATIENCE_S):
        numbers = [int((await rpc.notification())["number"], 16) for _ in range(3)]
    assert numbers == [5, 6, 7]
