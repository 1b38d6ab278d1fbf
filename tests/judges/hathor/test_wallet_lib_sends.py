"""The official library spends through our service: real signatures, real proof of work, a node that checks both."""

import asyncio
import base64
import time

import pytest

from support.hathor.js_wallet import PIN, JsClient, JsWallet, amount
from support.hathor.processes import NodeProgram
from support.js import JsError

pytestmark = pytest.mark.anyio

PATIENCE_S = 90.0
NOT_ENOUGH = r"UtxoError|SendTxError"


@pytest.fixture
async def rich(judge: JsClient, node: NodeProgram) -> JsWallet:
    """Has 1,000 in one output."""
    return await judge.funded(node, 1_000)


async def test_a_payment_arrives_and_its_change_comes_back(
    judge: JsClient, node: NodeProgram, rich: JsWallet
) -> None:
    payee = await judge.started(realtime=False)
    tx_id = await rich.send(await payee.address(0), 300)
    await payee.until_balance(300)
    await rich.until_balance(700)
    assert (await node.transaction(tx_id))["meta"]["voided_by"] == []
    assert [entry["balance"] for entry in await rich.call("getTxHistory")] == [-300, 1_000]
    assert [entry["balance"] for entry in await payee.call("getTxHistory")] == [300]
    await rich.send(await payee.address(1), 700)
    await payee.until_balance(1_000)
    assert await rich.balance() == (0, 0)


async def test_many_outputs_and_data_go_in_one_transaction(
    judge: JsClient, node: NodeProgram, rich: JsWallet
) -> None:
    payee = await judge.started(realtime=False)
    outputs: list[dict[str, object]] = [
        {"address": await payee.address(index), "value": amount(10 + index), "token": "00"}
        for index in range(5)
    ]
    outputs.append({"type": "data", "data": "strongroom"})
    sent = await rich.call("sendManyOutputsTransaction", outputs, PIN)
    await payee.until_balance(60)
    await rich.until_balance(1_000 - 60 - 1)
    scripts = [output["script"] for output in (await node.transaction(sent["hash"]))["tx"]["outputs"]]
    assert len(scripts) == 7


async def test_more_than_there_is_cannot_be_sent(rich: JsWallet) -> None:
    with pytest.raises(JsError, match=NOT_ENOUGH):
        await rich.send(await rich.address(0), 1_001)
    assert await rich.balance() == (1_000, 0)


async def test_on_a_test_network_any_work_will_do(judge: JsClient, rich: JsWallet) -> None:
    """As the library's own tests do it. What weighs too little even there leaves the wallet as it was."""
    try:
        await judge.set_weight(0.5)
        with pytest.raises(JsError, match="Error sending tx proposal"):
            await rich.send(await rich.address(1), 900)
        await judge.set_weight(1)
        await rich.send(await rich.address(2), 900)
        await rich.until_history(2)
    finally:
        await judge.set_weight(None)
    assert await rich.balance() == (1_000, 0)


async def test_a_timelock_holds_until_its_time(judge: JsClient, rich: JsWallet) -> None:
    payee = await judge.started(realtime=False)
    far_s = 4_000_000_000
    outputs = [{"address": await payee.address(0), "value": amount(5), "token": "00", "timelock": far_s}]
    await rich.call("sendManyOutputsTransaction", outputs, PIN)
    await rich.until_balance(995)
    (entry,) = await payee.call("getBalance", "00")
    assert (entry["balance"], entry["lockExpires"]) == ({"unlocked": 0, "locked": 5}, far_s)
    with pytest.raises(JsError, match=NOT_ENOUGH):
        await payee.send(await rich.address(0), 1)


async def test_what_a_timelock_let_go_can_be_spent_at_once(judge: JsClient, rich: JsWallet) -> None:
    """The node wants a newer transaction than the timelock: not before it takes one is the output unlocked."""
    payee = await judge.started(realtime=False)
    soon_s = int(time.time()) + 2
    outputs = [{"address": await payee.address(0), "value": amount(5), "token": "00", "timelock": soon_s}]
    await rich.call("sendManyOutputsTransaction", outputs, PIN)
    await rich.until_balance(995)
    await payee.until_balance(5)
    await payee.send(await rich.address(0), 5)
    await rich.until_balance(1_000)


async def test_a_token_lives_its_life(judge: JsClient, rich: JsWallet) -> None:
    """Created, told, minted, sent, melted; its authorities delegated and destroyed."""
    created = await rich.call("createNewToken", "Judge Coin", "JUD", amount(500), PIN)
    token = created["hash"]
    await rich.until_balance(500, token)
    await rich.until_balance(995)
    details = await rich.call("getTokenDetails", token)
    assert details["tokenInfo"] == {"id": token, "name": "Judge Coin", "symbol": "JUD", "version": 1}
    assert (details["totalSupply"], details["authorities"]) == (500, {"mint": True, "melt": True})
    await rich.call("mintTokens", token, amount(100), PIN)
    await rich.until_balance(600, token)
    await rich.call("meltTokens", token, amount(200), PIN)
    await rich.until_balance(400, token)
    await rich.until_balance(996)
    payee = await judge.started(realtime=False)
    await rich.send(await payee.address(0), 50, token=token)
    await payee.until_balance(50, token)
    await rich.call("delegateAuthority", token, "mint", await payee.address(1), PIN)
    await until_may(payee, token, "mint")
    await rich.call("destroyAuthority", token, "melt", 1, PIN)
    await until_authorities(rich, token, mint=True, melt=False)
    assert {entry["balance"]["unlocked"] for entry in await rich.call("getBalance", token)} == {350}
    assert set(await rich.call("getTokens")) == {"00", token}


async def until_may(wallet: JsWallet, token: str, authority: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await wallet.call("getAuthorityUtxo", token, authority):  # noqa: ASYNC110 - another process knows
            await asyncio.sleep(0.05)


async def until_authorities(wallet: JsWallet, token: str, **expected: bool) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            (entry,) = await wallet.call("getBalance", token)
            if entry["tokenAuthorities"]["unlocked"] == expected:
                return
            await asyncio.sleep(0.05)


async def test_an_nft_is_made(node: NodeProgram, rich: JsWallet) -> None:
    created = await rich.call("createNFT", "Picture", "PIC", amount(1), "ipfs://judge/picture", PIN)
    await rich.until_balance(1, created["hash"])
    outputs = (await node.transaction(created["hash"]))["tx"]["outputs"]
    scripts = [base64.b64decode(output["script"]) for output in outputs]
    assert any(b"ipfs://judge/picture" in script for script in scripts)


async def test_chosen_inputs_and_change_address_are_used(judge: JsClient, node: NodeProgram) -> None:
    wallet = await judge.funded(node, 100, 900)
    payee = await judge.started(realtime=False)
    chosen = (await wallet.call("getUtxosForAmount", amount(50)))["utxos"][0]
    change = await wallet.address(7)
    sent = await wallet.call(
        "sendManyOutputsTransaction",
        [{"address": await payee.address(0), "value": amount(40), "token": "00"}],
        {**PIN, "inputs": [{"txId": chosen["txId"], "index": chosen["index"]}], "changeAddress": change},
    )
    transaction = (await node.transaction(sent["hash"]))["tx"]
    assert [(entry["tx_id"], entry["index"]) for entry in transaction["inputs"]] == [
        (chosen["txId"], chosen["index"])
    ]
    assert {output["decoded"]["address"]: output["value"] for output in transaction["outputs"]}[change] == 60


async def test_of_clients_that_race_for_one_output_one_pays(
    judge: JsClient, node: NodeProgram, rich: JsWallet
) -> None:
    """The same wallet in two clients, six sends at once, one output: what is not paid fails cleanly."""
    twin = await judge.started(rich.words, realtime=False)
    payee = await judge.started(realtime=False)
    address = await payee.address(0)
    results = await asyncio.gather(
        *(wallet.send(address, 600 + number) for number in range(3) for wallet in (rich, twin)),
        return_exceptions=True,
    )
    paid = [result for result in results if isinstance(result, str)]
    refused = [result for result in results if not isinstance(result, str)]
    assert len(paid) == 1, results
    assert all(isinstance(error, JsError) for error in refused), refused
    spent = (await node.transaction(paid[0]))["tx"]["outputs"]
    value = next(output["value"] for output in spent if output["decoded"]["address"] == address)
    await payee.until_balance(value)
    await rich.until_balance(1_000 - value)
    assert await twin.balance() == (1_000 - value, 0)
    assert await rich.send(address, 10)  # the losers hold nothing back
