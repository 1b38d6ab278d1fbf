"""The official wallet finds in the sandbox everything that it needs of a node and a work server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from strongroom.atto.protocol import AccountEntry, Address, BlockType, Mnemonic
from strongroom_sandbox.atto import GENESIS_ADDRESS, AttoSandbox
from strongroom_sandbox.atto.faults.faults import Lie
from support.atto_account import account
from support.atto_network import AttoNetwork, running_network
from support.js import JsError
from support.js_agreement import until_received
from support.js_atto import JsAtto, JsWallet

pytestmark = pytest.mark.anyio
MNEMONIC = Mnemonic.from_entropy32(bytes(range(32)))
BOB = account(2)


@dataclass(frozen=True)
class Bench:
    """A network and an official wallet in it, which receives by itself."""

    network: AttoNetwork
    wallet: JsWallet

    @property
    def sandbox(self) -> AttoSandbox:
        return self.network.sandbox

    async def open(self, index: int, amount_raw: int) -> Address:
        """An account that the wallet has opened by receiving an amount."""
        address = await self.wallet.open(index)
        await self.sandbox.faucet(address, amount_raw)
        await self.wallet.entries(address, 1, 1)
        return address


@pytest.fixture
async def bench(js_atto: JsAtto) -> AsyncIterator[Bench]:
    async with (
        running_network() as network,
        js_atto.wallet(
            node_url=network.node_url,
            work_url=network.work_url,
            mnemonic=MNEMONIC,
            representative=GENESIS_ADDRESS,
        ) as wallet,
    ):
        yield Bench(network, wallet)


def movements(entries: list[AccountEntry]) -> list[tuple[int, BlockType, bytes, int, int]]:
    return [
        (entry.height, entry.block_type, entry.subject_public_key, entry.previous_balance, entry.balance)
        for entry in entries
    ]


async def test_wallet_opens_receives_sends_and_changes(bench: Bench) -> None:
    alice = await bench.open(0, 5 * 10**18)
    sent = await bench.wallet.send(0, BOB.address, 2 * 10**18)
    await bench.sandbox.faucet(alice, 7)
    await until_received(bench.network, alice, 3)
    changed = await bench.wallet.change(0, BOB.address)
    entries = await bench.wallet.entries(alice, 1, 4)
    genesis, bob = GENESIS_ADDRESS.public_key, BOB.public_key
    assert movements(entries) == [
        (1, BlockType.OPEN, genesis, 0, 5 * 10**18),
        (2, BlockType.SEND, bob, 5 * 10**18, 3 * 10**18),
        (3, BlockType.RECEIVE, genesis, 3 * 10**18, 3 * 10**18 + 7),
        (4, BlockType.CHANGE, bob, 3 * 10**18 + 7, 3 * 10**18 + 7),
    ]
    assert [entry.hash for entry in entries[1::2]] == [sent.hash, changed.hash]
    state = bench.sandbox.chain.account(alice.public_key)
    assert await bench.wallet.account(0) == await bench.wallet.node_account(alice) == state
    assert bench.sandbox.chain.weight(bob) == 3 * 10**18 + 7


async def test_wallet_moves_money_between_its_own_accounts(bench: Bench) -> None:
    first = await bench.open(0, 1000)
    second = await bench.wallet.open(1)
    for amount_raw in (100, 200, 300):
        await bench.wallet.send(0, second, amount_raw)
    await until_received(bench.network, second, 3)
    entries = await bench.wallet.entries(second, 1, 3)
    assert (entries[-1].balance, {entry.subject_public_key for entry in entries}) == (600, {first.public_key})
    states = {state.public_key: state.balance for state in await bench.wallet.node_accounts([first, second])}
    assert states == {first.public_key: 400, second.public_key: 600}


async def test_streams_follow_an_account_as_it_grows(bench: Bench) -> None:
    alice = await bench.open(0, 1000)
    entries = asyncio.create_task(bench.wallet.entries(alice, 1, 6))
    transactions = asyncio.create_task(bench.wallet.transactions(alice, 2, 6))
    states = asyncio.create_task(bench.wallet.states(alice, 6))
    for _ in range(5):
        await bench.wallet.send(0, BOB.address, 1)
    chain = bench.sandbox.chain
    assert await entries == chain.entries(alice.public_key, 1, 6)
    assert await transactions == chain.transactions(alice.public_key, 2, 6)
    heights = [state.height for state in await states]
    assert heights == sorted(set(heights))
    assert heights[-1] == 6


async def test_single_items_are_found_by_their_hash(bench: Bench) -> None:
    await bench.open(0, 1000)
    sent = await bench.wallet.send(0, BOB.address, 10)
    assert await bench.wallet.transaction(sent.hash) == sent
    assert await bench.wallet.entry(sent.hash) == bench.sandbox.chain.entry(sent.hash)


async def test_receivables_come_largest_first_from_a_minimum_on(bench: Bench) -> None:
    for amount_raw in (5, 1, 9):
        await bench.sandbox.faucet(BOB.address, amount_raw)
    found = await bench.wallet.receivables(BOB.address, 2, minimum_raw=5)
    assert found == list(bench.sandbox.chain.receivables([BOB.public_key], 5))


async def test_accounts_that_are_not_open_are_none(bench: Bench) -> None:
    assert await bench.wallet.node_account(BOB.address) is None
    assert await bench.wallet.node_accounts([BOB.address]) == []


async def test_time_and_weight_are_read(bench: Bench) -> None:
    await bench.open(0, 1000)
    assert (await bench.wallet.now()).endswith("Z")
    assert "weight=18000000000000000000" in await bench.wallet.weight(GENESIS_ADDRESS)


async def test_refusal_reaches_the_caller_with_its_reason(bench: Bench) -> None:
    alice = await bench.open(0, 1000)
    sent = await bench.wallet.send(0, BOB.address, 10)
    await bench.wallet.send(0, BOB.address, 10)
    with pytest.raises(JsError, match="OLD_TRANSACTION"):
        await bench.wallet.publish(sent)
    forged = replace(sent, signature=bytes(64))
    with pytest.raises(JsError, match="Invalid transaction"):
        await bench.wallet.publish(forged)
    assert len(bench.sandbox.chain.entries(alice.public_key, 1, 9)) == 3


async def test_wallet_notices_an_acknowledgement_of_something_else(bench: Bench) -> None:
    await bench.open(0, 1000)
    bench.sandbox.node.faults.lie = Lie.HASH
    with pytest.raises(JsError):
        await bench.wallet.send(0, BOB.address, 10)
