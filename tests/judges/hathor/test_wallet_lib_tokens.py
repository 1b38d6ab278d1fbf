"""The official library's tokens: fees and deposits, authorities at addresses of one's choice, many tokens at once."""

import pytest

from support.hathor.js_wallet import NATIVE, PIN, JsClient, JsWallet, amount
from support.hathor.processes import NodeProgram
from support.js import JsError

pytestmark = pytest.mark.anyio

FEE_TOKEN = 2
MULTISIG = "wgyUgNjqZ18uYr4YfE2ALW6tP5hd8MumH5"


@pytest.fixture
async def rich(judge: JsClient, node: NodeProgram) -> JsWallet:
    """Has 1,000 in one output."""
    return await judge.funded(node, 1_000)


async def done(wallet: JsWallet, method: str, *arguments: object) -> str:
    """The id of the transaction that a method of the library sent; the wallet knows it by now."""
    tx_id: str = (await wallet.call(method, *arguments))["hash"]
    await wallet.until_seen(tx_id)
    return tx_id


async def test_a_fee_token_pays_for_its_outputs_and_needs_no_deposit(rich: JsWallet) -> None:
    token = await done(
        rich, "createNewToken", "Fee", "FEE", amount(8_582), {**PIN, "tokenVersion": FEE_TOKEN}
    )
    assert (await rich.call("getTokenDetails", token))["tokenInfo"]["version"] == FEE_TOKEN
    assert (await rich.balance(), await rich.balance(token)) == ((999, 0), (8_582, 0))
    address = await rich.address(5)
    steps: list[tuple[str, tuple[object, ...], int, int]] = [
        ("sendTransaction", (address, amount(82), {**PIN, "token": token}), 2, 8_582),
        ("mintTokens", (token, amount(500), PIN), 1, 9_082),
        ("meltTokens", (token, amount(300), PIN), 1, 8_782),
        ("meltTokens", (token, amount(8_782), PIN), 1, 0),
    ]
    for method, arguments, fee, left in steps:
        before, _ = await rich.balance()
        await done(rich, method, *arguments)
        assert ((await rich.balance())[0], (await rich.balance(token))[0]) == (before - fee, left), method
    (entry,) = await rich.call("getBalance", token)
    assert (entry["token"]["version"], entry["transactions"]) == (FEE_TOKEN, 5)
    history = await rich.call("getTxHistory", {"token_id": token})
    assert [entry["balance"] for entry in history] == [-8_782, -300, 500, 0, 8_582]


async def test_authorities_lie_where_they_were_put(judge: JsClient, rich: JsWallet) -> None:
    addresses = [await rich.address(index) for index in range(7)]
    stranger = await judge.started(realtime=False)
    options = {**PIN, "mintAuthorityAddress": addresses[2], "meltAuthorityAddress": addresses[3]}
    token = await done(rich, "createNewToken", "Where", "WHR", amount(100), options)

    async def lies_at(wallet: JsWallet, authority: str) -> list[str]:
        options = {"many": True, "only_available_utxos": True}
        found = await wallet.call("getAuthorityUtxo", token, authority, options)
        return [output["address"] for output in found]

    assert (await lies_at(rich, "mint"), await lies_at(rich, "melt")) == ([addresses[2]], [addresses[3]])
    there = {"filter_address": addresses[2]}
    assert len(await rich.call("getAuthorityUtxo", token, "mint", there)) == 1
    assert await rich.call("getAuthorityUtxo", token, "melt", there) == []
    away = {**PIN, "mintAuthorityAddress": await stranger.address(0)}
    with pytest.raises(JsError, match="must belong to your wallet"):
        await rich.call("mintTokens", token, amount(1), away)
    await done(rich, "mintTokens", token, amount(10), {**PIN, "mintAuthorityAddress": addresses[5]})
    assert await lies_at(rich, "mint") == [addresses[5]]
    await done(
        rich,
        "delegateAuthority",
        token,
        "melt",
        away["mintAuthorityAddress"],
        {**PIN, "createAnother": False},
    )
    assert (await lies_at(rich, "melt"), await lies_at(stranger, "melt")) == ([], [await stranger.address(0)])
    await done(rich, "delegateAuthority", token, "mint", addresses[6], PIN)
    assert len(await lies_at(rich, "mint")) == 2
    with pytest.raises(JsError, match="Requested quantity 3 - Available quantity 2"):
        await rich.call("destroyAuthority", token, "mint", 3, PIN)
    await done(rich, "destroyAuthority", token, "mint", 2, PIN)
    (entry,) = await rich.call("getBalance", token)
    assert entry["tokenAuthorities"]["unlocked"] == {"mint": False, "melt": False}
    with pytest.raises(JsError, match="No authority utxo available"):
        await rich.call("mintTokens", token, amount(1), PIN)


async def test_several_tokens_data_and_a_multisig_payee_go_together(judge: JsClient, rich: JsWallet) -> None:
    tokens = [
        await done(
            rich, "createNewToken", name, name[:3].upper(), amount(100), {**PIN, "data": [f"of {name}"]}
        )
        for name in ("First", "Second")
    ]
    payee = await judge.started(realtime=False)
    outputs: list[dict[str, object]] = [
        {"address": await payee.address(place), "value": amount(10 + place), "token": token}
        for place, token in enumerate((*tokens, NATIVE))
    ]
    outputs += [
        {"address": MULTISIG, "value": amount(3), "token": NATIVE},
        {"type": "data", "data": "one"},
        {"type": "data", "data": "two"},
    ]
    tx_id = await done(rich, "sendManyOutputsTransaction", outputs, PIN)
    assert sorted(await payee.call("getTokens")) == sorted((NATIVE, *tokens))
    assert [(await payee.balance(token))[0] for token in (*tokens, NATIVE)] == [10, 11, 12]
    parts = (await payee.call("getTxById", tx_id))["txTokens"]
    assert {part["tokenSymbol"]: part["balance"] for part in parts} == {"FIR": 10, "SEC": 11, "HTR": 12}
    full = (await rich.call("getFullTxById", tx_id))["tx"]
    assert [out["value"] for out in full["outputs"] if out["decoded"].get("address") == MULTISIG] == [3]


async def test_what_was_prepared_without_signatures_is_signed_and_sent(rich: JsWallet) -> None:
    sent = await rich.prepared("prepareCreateNewToken", "Later", "LAT", amount(100), {"signTx": False})
    await rich.until_balance(100, sent)
    assert await rich.balance() == (999, 0)
    await rich.until_seen(await rich.prepared("prepareMintTokensData", sent, amount(50), {"signTx": False}))
    assert await rich.balance(sent) == (150, 0)
