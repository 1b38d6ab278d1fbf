"""The official client on the other side of our service: it agrees with every transaction, account and payment."""

import asyncio

import pytest

from judges.atto.conftest import StartJsWallet
from strongroom.atto.protocol import Address
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, Wallet, entry
from support.js_agreement import assert_agree, search, until_received
from support.js_atto import JsWallet, valid

pytestmark = pytest.mark.anyio
ODD = 2**53 + 1
"""An amount that JavaScript's own numbers cannot hold."""


@pytest.fixture
def service(shared_service: AttoService) -> AttoService:
    return shared_service


@pytest.fixture
async def wallet(service: AttoService) -> Wallet:
    return await service.create_wallet()


async def open_js_account(js: JsWallet, network: AttoNetwork, index: int, amount_raw: int) -> Address:
    """An account of the official wallet, which has opened it by itself."""
    address = await js.open(index)
    await network.fund(address.path, amount_raw)
    await js.entries(address, 1, 1)
    return address


async def test_every_kind_of_block_published_here_is_valid_there(
    service: AttoService, network: AttoNetwork, js_wallet: StartJsWallet
) -> None:
    address = await service.open_account(network, ODD)
    await network.fund(address, ODD)
    await service.until_balance(address, 2 * ODD)
    sent = entry(await service.send(address, NOBODY, ODD))
    changed = entry(await service.change(address, NOBODY))
    account = Address.parse(address)
    async with js_wallet() as js:
        verdicts = await js.verdicts(account, 1, 4)
    assert verdicts == [valid(one) for one in network.sandbox.chain.transactions(account.public_key, 1, 4)]
    assert [verdict.type for verdict in verdicts] == ["OPEN", "RECEIVE", "SEND", "CHANGE"]
    assert [verdict.hash.hex().upper() for verdict in verdicts[2:]] == [sent["hash"], changed["hash"]]


async def test_wallet_of_the_same_mnemonic_reads_the_same_accounts(
    service: AttoService, network: AttoNetwork, wallet: Wallet, js_wallet: StartJsWallet
) -> None:
    made = await service.post(f"/wallets/{wallet.name}/accounts/ranges/3")
    addresses = [account["address"] for account in made]
    for address, amount_raw in zip(addresses[:3], (2 * ODD, 1, ODD), strict=True):
        await network.fund(address, amount_raw)
        await service.until_balance(address, amount_raw)
    entry(await service.send(addresses[0], addresses[1], ODD))
    await service.until_balance(addresses[1], ODD + 1)
    entry(await service.change(addresses[1], NOBODY))
    async with js_wallet(wallet.mnemonic, receives=False) as js:
        opened = [await js.open(account["index"]) for account in made]
        states = [await js.account(account["index"]) for account in made]
        assert [await assert_agree(service, js, address) for address in addresses] == states
    assert [(one.path, one.uri) for one in opened] == [
        (account["address"], account["displayAddress"]) for account in made
    ]
    heights = [state and (state.height, state.balance) for state in states]
    assert heights == [(2, ODD), (3, ODD + 1), (1, ODD), None]


async def test_wallet_made_there_is_imported_and_recovered_here(
    service: AttoService, network: AttoNetwork, js_wallet: StartJsWallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strongroom.atto.wallets.recovery.SILENCE_S", 0.1)
    async with js_wallet() as js:
        opened = {index: await open_js_account(js, network, index, ODD + index) for index in (0, 2)}
        phrase = (await js.mnemonic()).phrase
        response = await service.client.put("/wallets/made-there", json={"mnemonic": phrase})
        assert response.json()["mnemonic"] == phrase
        found = await service.post("/wallets/made-there/recoveries", {"gapLimit": 2})
        recovered = {row["index"]: row["address"] for row in found["accounts"] if row["opened"]}
        assert recovered == {index: address.path for index, address in opened.items()}
        for address in recovered.values():
            await assert_agree(service, js, address)
        sent = entry(await service.send(recovered[2], NOBODY, ODD + 2))
        assert (sent["height"], sent["balance"]) == (2, 0)


async def test_first_payments_there_and_back_open_the_accounts(
    service: AttoService, network: AttoNetwork, js_wallet: StartJsWallet
) -> None:
    ours = await service.create_account()
    async with js_wallet() as js:
        payer = await open_js_account(js, network, 0, 3 * ODD)
        payee = await js.open(1)
        await js.send(0, Address.parse(ours), 2 * ODD)
        await service.until_balance(ours, 2 * ODD)
        entry(await service.send(ours, payee.path, ODD))
        (opened,) = await js.entries(payee, 1, 1)
        await assert_agree(service, js, ours)
    assert (opened.block_type.name, opened.balance) == ("OPEN", ODD)
    assert opened.subject_public_key == Address.parse(ours).public_key
    assert [
        (one["blockType"], one["subjectAddress"], one["balance"]) for one in await search(service, ours)
    ] == [("OPEN", payer.path, 2 * ODD), ("SEND", payee.path, ODD)]


async def test_later_payments_there_and_back_are_received(
    service: AttoService, network: AttoNetwork, js_wallet: StartJsWallet
) -> None:
    ours = await service.open_account(network, ODD)
    async with js_wallet() as js:
        theirs = await open_js_account(js, network, 0, ODD)
        await js.send(0, Address.parse(ours), ODD)
        await service.until_balance(ours, 2 * ODD)
        entry(await service.send(ours, theirs.path, 2 * ODD))
        await until_received(network, theirs, 3)
        received = (await js.entries(theirs, 1, 3))[-1]
        await assert_agree(service, js, ours)
    assert (received.block_type.name, received.balance) == ("RECEIVE", 2 * ODD)
    assert received.subject_public_key == Address.parse(ours).public_key
    assert [
        (one["blockType"], one["subjectAddress"], one["balance"]) for one in (await search(service, ours))[1:]
    ] == [("RECEIVE", theirs.path, 2 * ODD), ("SEND", theirs.path, 0)]


async def test_payments_that_cross_all_arrive(
    service: AttoService, network: AttoNetwork, js_wallet: StartJsWallet
) -> None:
    """Both sides send and receive at the same time, on one account each."""
    ours = await service.open_account(network, 1000)
    async with js_wallet() as js:
        theirs = await open_js_account(js, network, 0, 1000)

        async def pay_ours() -> None:
            for amount_raw in range(1, 9):
                await js.send(0, Address.parse(ours), amount_raw)

        async def pay_theirs(amount_raw: int) -> None:
            entry(await service.send(ours, theirs.path, amount_raw))

        await asyncio.gather(pay_ours(), *(pay_theirs(10 * number) for number in range(1, 9)))
        await until_received(network, theirs, 17)
        details = await service.until_balance(ours, 1000 - 360 + 36)
        await assert_agree(service, js, ours)
        state = await js.node_account(theirs)
    assert details["height"] == 17
    assert state is not None
    assert (state.height, state.balance) == (17, 1000 + 360 - 36)
