"""The library that SDK 9 and 10 talk to the chain with counts nonces; a refused or lost call leaves it wrong."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from async_substrate_interface import AsyncSubstrateInterface
from async_substrate_interface.errors import SubstrateRequestException

from strongroom.bittensor.client import RemoteKeypair, ServiceError, ServiceSettings, WalletService
from strongroom_sandbox.bittensor.chain.genesis import BALANCES
from strongroom_sandbox.bittensor.chain.keys import development_pair
from strongroom_sandbox.bittensor.execution import accounts
from support.bittensor.alice import service_of_alice
from support.bittensor.sandbox_node import SandboxNode, sandbox_node

BOB = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty"
MOST, TOO_MUCH = 1000, 1001
CALLS = ("Balances.transfer_keep_alive",)


@dataclass
class Payer:
    sandbox: SandboxNode
    chain: AsyncSubstrateInterface
    key: RemoteKeypair

    @property
    def received(self) -> int:
        bob = development_pair("//Bob")[0]
        return accounts.free(self.sandbox.node.chain.storage, bob) - BALANCES["//Bob"]

    async def sign(self, amount: int, **more: Any) -> Any:
        call = await self.chain.compose_call(
            "Balances", "transfer_keep_alive", {"dest": BOB, "value": amount}
        )
        return await self.chain.create_signed_extrinsic(call, self.key, **more)

    async def pay(self, amount: int, **more: Any) -> None:
        extrinsic = await self.sign(amount, **more)
        receipt = await self.chain.submit_extrinsic(extrinsic, wait_for_inclusion=True)
        assert await receipt.is_success

    async def pay_as_the_sdk(self, amount: int) -> None:
        """It takes a nonce first, and names it."""
        await self.pay(amount, nonce=await self.chain.get_account_next_index(self.key.ss58_address))


@pytest.fixture
async def payer(tmp_path: Path) -> AsyncIterator[Payer]:
    async with (
        sandbox_node(spec_version=424, interval_ms=100) as sandbox,
        service_of_alice(sandbox, tmp_path) as service,
    ):
        token = await service.token(calls=CALLS, coldkey=True, most_rao=MOST)
        secret = token["Authorization"].removeprefix("Bearer ")
        settings = ServiceSettings(url=str(service.client.base_url), token=secret, state=None)
        wallet = await asyncio.to_thread(WalletService(settings).wallet, "validator")
        assert wallet.coldkey is not None
        async with AsyncSubstrateInterface(sandbox.ws_url) as chain:
            yield Payer(sandbox, chain, wallet.coldkey)


async def test_a_refused_call_takes_no_nonce(payer: Payer) -> None:
    await payer.pay(1)
    for pay in (payer.pay, payer.pay_as_the_sdk):
        for _ in range(2):
            with pytest.raises(ServiceError, match="HTTP 403"):
                await pay(TOO_MUCH)
        await pay(10)
    assert payer.received == 21


async def test_calls_at_once_each_get_a_nonce_though_one_is_refused(payer: Payer) -> None:
    amounts = [1, TOO_MUCH, 2, 4, TOO_MUCH, 8]
    answers = await asyncio.gather(
        *(payer.pay_as_the_sdk(amount) for amount in amounts), return_exceptions=True
    )
    assert [answer is None for answer in answers] == [amount <= MOST for amount in amounts], answers
    assert payer.received == 15


async def test_what_never_reached_a_pool_leaves_no_gap(payer: Payer) -> None:
    """Its place is kept until its era is over: nobody else may sign for it before."""
    await payer.pay(1)
    await payer.sandbox.command(
        "/_fault",
        refusal={"method": "author_submitAndWatchExtrinsic", "code": 1010, "message": "no", "count": 1},
    )
    with pytest.raises(SubstrateRequestException):
        await payer.pay(2)
    await payer.pay_as_the_sdk(4)  # the era that it first asks for ends meanwhile, too
    assert payer.received == 5


async def test_a_nonce_that_was_chosen_on_purpose_is_not_another(payer: Payer) -> None:
    """As for a transaction that shall come after the next one: what it is signed for may hold nothing else."""
    await payer.chain.get_account_next_index(payer.key.ss58_address)
    later = await payer.chain.get_account_next_index(payer.key.ss58_address)
    with pytest.raises(ServiceError) as refused:
        await payer.sign(1, nonce=later)
    assert refused.value.code == "nonce_taken"
    await payer.pay(2)
    assert payer.received == 2


async def test_arguments_by_their_places_are_no_way_around_the_service(payer: Payer) -> None:
    call = await payer.chain.compose_call("Balances", "transfer_keep_alive", {"dest": BOB, "value": 3})
    extrinsic = await payer.chain.create_signed_extrinsic(call, payer.key, {"period": 64}, 0)
    await payer.chain.submit_extrinsic(extrinsic, wait_for_inclusion=True)
    assert payer.received == 3


async def test_a_fee_is_estimated_and_takes_no_nonce(payer: Payer) -> None:
    call = await payer.chain.compose_call("Balances", "transfer_keep_alive", {"dest": BOB, "value": 3})
    for _ in range(2):
        info = await payer.chain.get_payment_info(call, payer.key)
        assert info["partial_fee"] > 0
    await payer.pay(3)
    assert payer.received == 3
