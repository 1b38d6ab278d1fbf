"""The official library starts wallets at our service and understands all it reads there."""

import pytest

from support.hathor.js_wallet import JsClient, JsWallet
from support.hathor.processes import NodeProgram
from support.js import JsError

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def wallet(judge: JsClient, node: NodeProgram) -> JsWallet:
    """Started, with two payments received."""
    wallet = await judge.started(realtime=False)
    await node.fund(await wallet.address(0), 700)
    await node.fund(await wallet.address(3), 50)
    await wallet.until_balance(750)
    return wallet


async def test_a_new_wallet_has_nothing(judge: JsClient) -> None:
    fresh = await judge.started(realtime=False)
    assert await fresh.call("isReady") is True
    assert [entry["balance"] for entry in await fresh.call("getBalance", "00")] == [
        {"unlocked": 0, "locked": 0}
    ]
    assert await fresh.call("getBalance") == []
    assert await fresh.call("getTxHistory") == []
    assert await fresh.call("getTokens") == []
    addresses = await fresh.call("getAllAddresses")
    assert [entry["index"] for entry in addresses] == list(range(20))
    assert {entry["transactions"] for entry in addresses} == {0}
    assert (await fresh.call("getCurrentAddress"))["address"] == addresses[0]["address"]
    assert await fresh.call("hasTxOutsideFirstAddress") is False


async def test_a_second_start_of_the_same_wallet_finds_it_loaded(judge: JsClient, wallet: JsWallet) -> None:
    again = await judge.started(wallet.words, realtime=False)
    assert await again.balance() == (750, 0)
    (entry,) = await again.call("getBalance")
    assert entry["token"] == {"id": "00", "name": "Hathor", "symbol": "HTR", "version": 0}
    assert (entry["transactions"], entry["lockExpires"]) == (2, None)


async def test_addresses_are_the_library_s_own(wallet: JsWallet) -> None:
    addresses = await wallet.call("getAllAddresses")
    assert [entry["index"] for entry in addresses] == list(range(24))
    assert [entry["transactions"] for entry in addresses[:4]] == [1, 0, 0, 1]
    paths = [await wallet.call("getAddressPathForIndex", index) for index in (0, 3)]
    assert paths == ["m/44'/280'/0'/0/0", "m/44'/280'/0'/0/3"]
    details = await wallet.call("getAddressDetails", addresses[3]["address"])
    assert details == {**addresses[3], "seqnum": 0}
    mine = await wallet.call(
        "checkAddressesMine", [addresses[0]["address"], "WTMKB5FdxqGpzUw5YW8tJXHy4bBCHRTdZU"]
    )
    assert mine == {addresses[0]["address"]: True, "WTMKB5FdxqGpzUw5YW8tJXHy4bBCHRTdZU": False}
    assert await wallet.call("hasTxOutsideFirstAddress") is True


async def test_history_and_transactions_are_read(wallet: JsWallet, node: NodeProgram) -> None:
    history = await wallet.call("getTxHistory", {"count": 5, "skip": 0})
    assert [(entry["balance"], entry["voided"]) for entry in history] == [(50, False), (700, False)]
    tx_id = history[0]["txId"]
    (part,) = (await wallet.call("getTxById", tx_id))["txTokens"]
    assert (part["tokenId"], part["tokenSymbol"], part["balance"]) == ("00", "HTR", 50)
    with pytest.raises(JsError, match="TxNotFoundError"):
        await wallet.call("getTxById", "ab" * 32)
    full = await wallet.call("getFullTxById", tx_id)
    assert full["tx"]["hash"] == tx_id
    await node.mine()
    assert (await wallet.call("getTxConfirmationData", tx_id))["success"] is True
    assert tx_id in await wallet.call("graphvizNeighborsQuery", tx_id, "funds", 1)


async def test_outputs_are_read(wallet: JsWallet) -> None:
    utxos = await wallet.call("getUtxos")
    assert (utxos["total_amount_available"], utxos["total_utxos_available"]) == (750, 2)
    chosen = await wallet.call("getUtxosForAmount", "60n")
    assert ([utxo["value"] for utxo in chosen["utxos"]], chosen["changeAmount"]) == ([700], 640)
    utxo = chosen["utxos"][0]
    assert (await wallet.call("getUtxoFromId", utxo["txId"], utxo["index"])) == utxo
    assert utxo["addressPath"] == "m/44'/280'/0'/0/0"


async def test_the_version_tells_the_network_s_weights(wallet: JsWallet) -> None:
    version = await wallet.call("getVersionData")
    assert (version["network"], version["minTxWeight"], version["minTxWeightCoefficient"]) == (
        "privatenet",
        1,
        0,
    )


async def test_a_read_only_wallet_reads_and_signs_nothing(judge: JsClient, wallet: JsWallet) -> None:
    reader = await judge.open(xpub=await wallet.property("xpub"), realtime=False)
    await reader.call("startReadOnly")
    assert await reader.balance() == (750, 0)
    assert len(await reader.call("getTxHistory")) == 2
    assert len(await reader.call("getAllAddresses")) == 24
    with pytest.raises(JsError, match="WalletFromXPubGuard"):
        await reader.send(await wallet.address(0), 1)


async def test_a_token_that_ends_is_renewed(wallet: JsWallet) -> None:
    first = await wallet.property("authToken")
    await wallet.call("validateAndRenewAuthToken", "123456")
    assert await wallet.property("authToken") != first
    assert await wallet.balance() == (750, 0)
