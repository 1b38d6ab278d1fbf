"""Wallets of the official library as they may be opened: of keys, with a passphrase, of one address, many at once."""

import asyncio

import pytest

from support.hathor.js_wallet import JsClient, JsWallet
from support.hathor.processes import NodeProgram
from support.js import JsError

pytestmark = pytest.mark.anyio


async def test_a_wallet_of_keys_is_the_one_of_its_words(judge: JsClient, node: NodeProgram) -> None:
    wallet = await judge.funded(node, 50)
    of_keys = await judge.started(wallet.words, realtime=False, by_keys=True)
    assert await of_keys.property("walletId") == await wallet.property("walletId")
    await of_keys.until_seen(await of_keys.send(await of_keys.address(1), 20))
    assert len(await wallet.call("getTxHistory")) == 2


async def test_a_passphrase_makes_it_another_one(judge: JsClient, node: NodeProgram) -> None:
    plain = await judge.started(realtime=False)
    secret = await judge.started(plain.words, realtime=False, passphrase="sesame")
    await node.fund(await secret.address(0), 30)
    await secret.until_balance(30)
    await secret.send(await plain.address(0), 10)
    await plain.until_balance(10)
    assert await secret.balance() == (20, 0)


async def test_one_address_is_enough_until_there_is_another(judge: JsClient, node: NodeProgram) -> None:
    wallet = await judge.started(realtime=False, single_address=True)
    first = await wallet.address(0)
    await node.fund(first, 100)
    await wallet.until_balance(100)
    payee = await judge.started(realtime=False)
    await wallet.until_seen(await wallet.send(await payee.address(0), 10))
    assert (await wallet.call("getCurrentAddress"))["address"] == first
    assert await wallet.call("hasTxOutsideFirstAddress") is False
    await wallet.call("enableMultiAddressMode")
    assert (await wallet.call("getCurrentAddress"))["index"] == 1
    await node.fund(await wallet.address(1), 5)
    await wallet.until_balance(95)
    with pytest.raises(JsError, match="HasTxOutsideFirstAddressError"):
        await wallet.call("enableSingleAddressMode")
    again = await judge.started(wallet.words, realtime=False, single_address=True)
    assert await again.call("getAddressMode") == "multi"


async def test_stopped_and_started_it_goes_on(judge: JsClient, node: NodeProgram) -> None:
    wallet = await judge.started()
    await wallet.connected()
    await wallet.call("stop", {"cleanStorage": False})
    assert await wallet.call("isReady") is False
    await wallet.start()
    await node.fund(await wallet.address(0), 7)
    await wallet.until_balance(7)


async def test_clients_that_start_one_new_wallet_together_all_get_it(judge: JsClient) -> None:
    words = await judge.new_words()
    wallets = await asyncio.gather(*(judge.started(words, realtime=False) for _ in range(4)))
    assert len({await wallet.address(0) for wallet in wallets}) == 1


async def test_tokens_are_renewed_while_questions_are_on_their_way(
    judge: JsClient, node: NodeProgram
) -> None:
    wallet = await judge.funded(node, 60)
    twin = await judge.started(wallet.words, realtime=False)

    async def renew(renewed: JsWallet) -> None:
        await renewed.call("validateAndRenewAuthToken", "123456")

    asked = [each.balance() for _ in range(10) for each in (wallet, twin)]
    answers, _ = await asyncio.gather(
        asyncio.gather(*asked), asyncio.gather(*(renew(each) for each in (wallet, twin) * 3))
    )
    assert set(answers) == {(60, 0)}
