"""Many sends at once: one after the other on an account, accounts side by side, replicas too."""

import asyncio

import httpx2
import pytest

from atto.conftest import Start
from support.atto_network import AttoNetwork
from support.atto_service import ATTO, NOBODY, AttoService, assert_refused, entry
from support.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def address(service: AttoService, network: AttoNetwork) -> str:
    """An account with 50 ATTO."""
    return await service.open_account(network)


async def at_once(
    service: AttoService, address: str, *amounts_raw: int, last_height: int | None = None
) -> list[httpx2.Response]:
    return await asyncio.gather(
        *(service.send(address, NOBODY, amount_raw, lastHeight=last_height) for amount_raw in amounts_raw)
    )


async def test_sends_without_a_height_queue_and_all_succeed(
    service: AttoService, network: AttoNetwork, address: str
) -> None:
    sent = [entry(response) for response in await at_once(service, address, *range(1, 21))]
    sent.sort(key=lambda one: one["height"])
    assert [one["height"] for one in sent] == list(range(2, 22))
    assert sorted(one["previousBalance"] - one["balance"] for one in sent) == list(range(1, 21))
    assert [one["previousBalance"] for one in sent[1:]] == [one["balance"] for one in sent[:-1]]
    state = network.state(address)
    assert state is not None
    assert (state.height, state.balance) == (21, 50 * ATTO - 210)


async def test_sends_succeed_as_far_as_the_funds_reach(
    service: AttoService, network: AttoNetwork, address: str
) -> None:
    answers = await at_once(service, address, *([20 * ATTO] * 5))
    answers.sort(key=lambda response: response.status_code)
    assert [response.status_code for response in answers] == [200, 200, 400, 400, 400]
    for response in answers[2:]:
        assert_refused(response, 400, "Not enough balance.", "insufficient_balance")
    state = network.state(address)
    assert state is not None
    assert state.balance == 10 * ATTO


async def test_of_sends_with_the_same_height_exactly_one_succeeds(
    service: AttoService, network: AttoNetwork, address: str
) -> None:
    answers = await at_once(service, address, *([ATTO] * 8), last_height=1)
    assert sorted(response.status_code for response in answers) == [200] + [409] * 7
    state = network.state(address)
    assert state is not None
    assert (state.height, state.balance) == (2, 49 * ATTO)


async def test_accounts_do_not_wait_for_each_other(service: AttoService, network: AttoNetwork) -> None:
    addresses = [await service.open_account(network) for _ in range(8)]
    network.faults.confirmation_delay_ms = 3000
    answers = asyncio.gather(*(service.send(address, NOBODY, 1) for address in addresses))
    await eventually(lambda: network.sandbox.node.elections.undecided == len(addresses))
    assert [entry(response)["height"] for response in await answers] == [2] * 8


async def test_sends_and_arrivals_of_an_account_interleave(
    service: AttoService, network: AttoNetwork, address: str
) -> None:
    async def arrive() -> None:
        for _ in range(6):
            await network.fund(address, ATTO)

    answers, _ = await asyncio.gather(at_once(service, address, *([ATTO] * 6)), arrive())
    assert [response.status_code for response in answers] == [200] * 6
    assert (await service.until_balance(address, 50 * ATTO))["height"] == 13


async def test_payments_in_a_circle_arrive(service: AttoService, network: AttoNetwork) -> None:
    addresses = [await service.open_account(network, 100) for _ in range(4)]
    circle = zip(addresses, addresses[1:] + addresses[:1], strict=True)
    answers = await asyncio.gather(*(service.send(sender, receiver, 60) for sender, receiver in circle))
    assert [response.status_code for response in answers] == [200] * 4
    for address in addresses:
        assert (await service.until_balance(address, 100))["height"] == 3


async def test_replicas_share_accounts(start: Start, network: AttoNetwork) -> None:
    async with start() as one, start() as other:
        address = await one.open_account(network)
        ours, theirs = await asyncio.gather(
            at_once(one, address, *([1] * 8)), at_once(other, address, *([1] * 8))
        )
        heights = sorted(entry(response)["height"] for response in ours + theirs)
        assert heights == list(range(2, 18))
        assert (await other.until_balance(address, 50 * ATTO - 16))["height"] == 17
        assert await one.verify_audit() == await other.verify_audit()


async def test_replicas_let_one_send_of_a_height_through(start: Start, network: AttoNetwork) -> None:
    async with start() as one, start() as other:
        address = await one.open_account(network)
        answers = await asyncio.gather(
            at_once(one, address, *([1] * 4), last_height=1),
            at_once(other, address, *([1] * 4), last_height=1),
        )
        assert sorted(response.status_code for half in answers for response in half) == [200] + [409] * 7


async def test_lock_holds_on_every_replica(start: Start, network: AttoNetwork) -> None:
    """Also on one that has just signed with the wallet and has its keys at hand."""
    async with start() as one, start() as other:
        wallet = await one.create_wallet()
        address = await one.open_account(network, 100, wallet)
        entry(await other.send(address, NOBODY, 1))
        await one.lock(wallet)
        words = f"Wallet {wallet.name} is locked"
        assert_refused(await other.send(address, NOBODY, 1), 400, words, "wallet_locked")
        await other.unlock(wallet)
        entry(await one.send(address, NOBODY, 1))


async def test_account_of_one_replica_receives_through_the_other(start: Start, network: AttoNetwork) -> None:
    """Only one of them has the streams; it learns of accounts that the other creates."""
    async with start() as leader, start() as other:
        address = await other.create_account()
        await network.fund(address, 7)
        await other.until_balance(address, 7)
        await leader.until_balance(address, 7)
