"""Two services on one seed: a payment whose place the other one took is built again, and made exactly once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from atto.conftest import Start
from strongroom.atto.protocol import Address, SendBlock
from strongroom.atto.transactions.blocks import RejectionCause
from strongroom.core.errors import Unavailable
from strongroom.core.intents.tables import intent as intent_table
from support.atto_account import AttoAccount
from support.atto_network import AttoNetwork
from support.atto_service import (
    ATTO,
    NOBODY,
    AttoService,
    Wallet,
    assert_refused,
    entry,
    running_service,
    until,
)

pytestmark = pytest.mark.anyio

ELSEWHERE = Address.parse(NOBODY)
SENDS = 64
PATIENT = {"ATTO_REQUEST_TIMEOUT_S": "50"}


@pytest.fixture
async def service(start: Start) -> AsyncIterator[AttoService]:
    async with start(**PATIENT) as service:
        yield service


@pytest.fixture
async def wallet(service: AttoService) -> Wallet:
    return await service.create_wallet()


@pytest.fixture
async def address(service: AttoService, network: AttoNetwork, wallet: Wallet) -> str:
    return await service.open_account(network, 500 * ATTO, wallet)


@pytest.fixture
async def other(
    network: AttoNetwork, wallet: Wallet, address: str, tmp_path: Path
) -> AsyncIterator[AttoService]:
    """Another service with a database of its own and the same mnemonic."""
    folder = tmp_path / "other"
    folder.mkdir()
    async with running_service(network, {"STRONGROOM_DATA": str(folder), **PATIENT}) as other:
        response = await other.client.put("/wallets/same", json={"mnemonic": wallet.mnemonic})
        assert response.status_code == 200, response.text
        assert (await other.post("/wallets/same/accounts"))["address"] == address
        await other.until_balance(address, 500 * ATTO)
        yield other


def sent_on_chain(network: AttoNetwork, address: str) -> Counter[int]:
    """How often each amount was sent."""
    transactions = network.sandbox.chain.transactions(Address.parse(address).public_key, 1, 10_000)
    blocks = [one.block for one in transactions]
    return Counter(block.amount for block in blocks if isinstance(block, SendBlock))


async def rejected(service: AttoService) -> list[Any]:
    columns = intent_table.c
    query = select(columns.id, columns.stage).where(columns.outcome == "REJECTED")
    return list(await service.ledger.database.fetch_all(query))


@pytest.mark.parametrize("silent", [False, True], ids=["answered", "left without an answer"])
async def test_of_64_sends_through_two_services_each_is_made_once(
    service: AttoService, other: AttoService, network: AttoNetwork, address: str, silent: bool
) -> None:
    service.client.timeout = other.client.timeout = 55
    network.faults.confirmation_delay_ms = 10
    network.faults.silent_rivals = silent
    number = SENDS if not silent else SENDS // 4
    amounts = [1000 + one for one in range(number)]
    sends = [
        (service if one % 2 else other).send(address, NOBODY, amount, key=f"k{amount}" if one % 3 else None)
        for one, amount in enumerate(amounts)
    ]
    responses = await asyncio.gather(*sends)
    assert Counter(response.status_code for response in responses) == {200: number}
    assert sent_on_chain(network, address) == Counter(amounts)
    for amount, response in zip(amounts, responses, strict=True):
        document = entry(response)
        assert document["previousBalance"] - document["balance"] == amount
    lost = [*await rejected(service), *await rejected(other)]
    assert lost, "nothing was lost, so nothing was tried"
    assert {row.stage for row in lost} == {RejectionCause.SLOT_TAKEN}
    for one, (amount, response) in enumerate(zip(amounts, responses, strict=True)):
        if one % 3:
            again = await (service if one % 2 else other).send(address, NOBODY, amount, key=f"k{amount}")
            assert again.content == response.content
    assert sent_on_chain(network, address) == Counter(amounts)


async def lose_next(service: AttoService, network: AttoNetwork, twin: AttoAccount, amount_raw: int) -> None:
    """Another wallet is quicker than the next block that this service signs."""
    blocks = service.ledger.use_cases.block_network
    publish = blocks._node.publish

    async def too_late(transaction: Any) -> None:
        blocks._node.publish = publish  # type: ignore[method-assign]
        state = network.state(twin.address.path)
        assert state is not None
        await network.publish(twin.send(state, ELSEWHERE, amount_raw))
        await publish(transaction)

    blocks._node.publish = too_late  # type: ignore[method-assign]


async def test_a_send_for_a_height_that_another_took_is_a_conflict(
    service: AttoService, network: AttoNetwork, wallet: Wallet, address: str
) -> None:
    await lose_next(service, network, wallet.account(), 7)
    refused = await service.send(address, NOBODY, ATTO, lastHeight=1, key="at-1")
    assert (refused.status_code, refused.json()["code"]) == (409, "height_mismatch")
    assert (await service.send(address, NOBODY, ATTO, lastHeight=1, key="at-1")).content == refused.content
    assert sent_on_chain(network, address) == Counter([7])


async def test_a_send_whose_funds_another_spent_is_refused(
    service: AttoService, network: AttoNetwork, wallet: Wallet, address: str
) -> None:
    await lose_next(service, network, wallet.account(), 500 * ATTO)
    refused = await service.send(address, NOBODY, ATTO, key="poor")
    assert_refused(refused, 400, "Not enough balance.", "insufficient_balance")
    assert (await service.send(address, NOBODY, ATTO, key="poor")).content == refused.content
    assert sent_on_chain(network, address) == Counter([500 * ATTO])


async def test_a_change_that_lost_its_place_is_built_again(
    service: AttoService, network: AttoNetwork, wallet: Wallet, address: str
) -> None:
    await lose_next(service, network, wallet.account(), 7)
    assert entry(await service.change(address, NOBODY))["height"] == 3


async def test_a_process_that_dies_between_the_loss_and_the_next_block_pays_once_when_asked_again(
    start: Start, network: AttoNetwork
) -> None:
    async with start(**PATIENT) as service:
        wallet = await service.create_wallet()
        address = await service.open_account(network, 500 * ATTO, wallet)
        await lose_next(service, network, wallet.account(), 7)
        submitter = service.ledger.use_cases.submitter
        signing = submitter._signing
        sign = signing.sign
        signed = 0

        async def die(*arguments: Any) -> Any:
            nonlocal signed
            if signed:
                raise Unavailable("the process is gone")
            step = await sign(*arguments)
            signed += 1
            return step

        signing.sign = die  # type: ignore[method-assign, assignment]
        assert (await service.send(address, NOBODY, ATTO, key="once")).status_code == 503
        (lost,) = await rejected(service)
    async with start(**PATIENT) as service:
        answers = await asyncio.gather(*(service.send(address, NOBODY, ATTO, key="once") for _ in range(4)))
        assert {answer.status_code for answer in answers} <= {200, 409, 503}
        paid = entry(await service.send(address, NOBODY, ATTO, key="once"))
        assert (paid["height"], paid["previousBalance"]) == (3, 500 * ATTO - 7)
        assert (await service.send(address, NOBODY, ATTO, key="once")).json() == paid
        assert sent_on_chain(network, address) == Counter([7, ATTO])
        found = await service.get(f"/wallets/accounts/transactions/{lost.id.hex().upper()}")
        assert found["state"] == "REJECTED"


async def test_two_processes_that_take_up_the_same_lost_payment_make_it_once(
    start: Start, network: AttoNetwork
) -> None:
    async with start(**PATIENT) as service:
        wallet = await service.create_wallet()
        address = await service.open_account(network, 500 * ATTO, wallet)
        await lose_next(service, network, wallet.account(), 7)
        signing = service.ledger.use_cases.submitter._signing
        sign = signing.sign
        taken: list[int] = []

        async def give_up(*arguments: Any) -> Any:
            if taken:
                raise Unavailable("the process is gone")
            step = await sign(*arguments)
            taken.append(1)
            return step

        signing.sign = give_up  # type: ignore[method-assign, assignment]
        assert (await service.send(address, NOBODY, ATTO, key="once")).status_code == 503
        signing.sign = sign  # type: ignore[method-assign]
        async with start(**PATIENT) as replica:
            answers = await asyncio.gather(
                *(one.send(address, NOBODY, ATTO, key="once") for one in (service, replica) for _ in range(3))
            )
            assert {answer.status_code for answer in answers} <= {200, 409, 503, 504}
            paid = entry(
                await until(
                    lambda: replica.send(address, NOBODY, ATTO, key="once"),
                    lambda response: response.status_code == 200,
                )
            )
            assert all(answer.json() == paid for answer in answers if answer.status_code == 200)
            assert sent_on_chain(network, address) == Counter([7, ATTO])
