"""The official library hears of transactions over the WebSocket, also after service or node were away."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.hathor.js_wallet import JsClient, JsWallet
from support.hathor.processes import NodeProgram, WalletProgram
from support.js import JsError

pytestmark = pytest.mark.anyio


@pytest.fixture
async def listener(judge: JsClient) -> JsWallet:
    wallet = await judge.started()
    await wallet.connected()
    return wallet


async def test_a_payment_is_told_when_it_comes_and_when_it_is_confirmed(
    listener: JsWallet, node: NodeProgram
) -> None:
    address = await listener.address(0)
    tx_id = await node.fund(address, 321)
    told = await listener.event("new-tx", tx_id=tx_id)
    assert (told["voided"], told["height"], told["version"]) == (False, None, 1)
    mine = [output for output in told["outputs"] if output["decoded"]["address"] == address]
    assert [(output["value"], output["token"], output["locked"]) for output in mine] == [(321, "00", False)]
    assert await listener.balance() == (321, 0)  # what was told can be read
    await node.mine()
    confirmed = await listener.event("update-tx", tx_id=tx_id)
    assert confirmed["height"] == 0  # nodes give heights to blocks; a confirmed transaction has this
    assert confirmed["outputs"] == told["outputs"]


async def test_payer_and_payee_are_both_told(listener: JsWallet, judge: JsClient, node: NodeProgram) -> None:
    payer = await judge.started()
    await payer.connected()
    await node.fund(await payer.address(0), 50)
    await payer.until_balance(50)
    tx_id = await payer.send(await listener.address(0), 20)
    for wallet in (payer, listener):
        told = await wallet.event("new-tx", tx_id=tx_id)
        assert sorted(output["value"] for output in told["outputs"]) == [20, 30]
    assert (await payer.balance(), await listener.balance()) == ((30, 0), (20, 0))


async def test_the_current_address_moves_on(listener: JsWallet, node: NodeProgram) -> None:
    first = (await listener.call("getCurrentAddress"))["address"]
    await node.fund(first, 5)
    await listener.event("new-tx")
    assert (await listener.call("getCurrentAddress"))["address"] == await listener.address(1)


async def test_a_block_reward_is_told_and_locked(listener: JsWallet, node: NodeProgram) -> None:
    await node.mine(address=await listener.address(0))
    told = await listener.event("new-tx", version=0)
    assert [output["locked"] for output in told["outputs"]] == [True]
    assert await listener.balance() == (0, 6_400)
    await node.mine(10)
    await listener.until_balance(6_400)


@pytest.fixture
async def own_node(tmp_path: Path) -> AsyncIterator[NodeProgram]:
    async with NodeProgram(tmp_path / "node") as program:
        yield program


@pytest.fixture
async def own_service(own_node: NodeProgram, tmp_path: Path) -> AsyncIterator[WalletProgram]:
    async with WalletProgram(own_node, {"STRONGROOM_DATA": str(tmp_path / "service")}) as program:
        yield program


async def test_a_killed_service_and_a_killed_node_come_back(
    own_service: WalletProgram, own_node: NodeProgram
) -> None:
    async with own_service.judge() as judge:
        wallet = await judge.started()
        await wallet.connected()
        await own_node.fund(await wallet.address(0), 100)
        await wallet.until_balance(100)

        own_service.kill()
        await own_service.start()
        await wallet.event("reload-data")
        tx_id = await own_node.fund(await wallet.address(1), 50)
        await wallet.event("new-tx", tx_id=tx_id)
        assert await wallet.balance() == (150, 0)

        own_node.kill()
        assert await wallet.balance() == (150, 0)
        assert len(await wallet.call("getTxHistory")) == 2
        with pytest.raises(JsError):
            await wallet.send(await wallet.address(2), 10)
        await own_node.start()
        await wallet.send(await wallet.address(2), 10)
        await wallet.until_history(3)
        assert await wallet.balance() == (150, 0)
