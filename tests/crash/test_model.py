"""Random acts at once, on the same accounts: payments, changes, receives, another wallet with the same seed, faults.

The model is small: who was told that a payment was made finds it on the chain once, who was told that it was refused
does not find it, and in the end the service says what the node says.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL

from strongroom.atto.protocol import AccountKeys, AccountState, Address, Mnemonic, SendBlock, Transaction
from strongroom_sandbox.atto.problems import Problem
from support.atto_account import AttoAccount, account
from support.atto_network import AttoNetwork
from support.atto_network import running_network as running_sandbox
from support.atto_service import ATTO, NOBODY, AttoService, Wallet, database_variables, running_service, until
from support.seeds import seeded

pytestmark = pytest.mark.anyio

ACCOUNTS = 3
LANES = 8
ACTS = 240
REPRESENTATIVES = [account(number).address.path for number in range(1, 9)]
OPEN_BLOCKS = text("SELECT id FROM strongroom_intent WHERE outcome = 'OPEN'")


@dataclass(slots=True)
class Told:
    """The answers to the clients' payments, by amount: all amounts differ."""

    made: dict[int, dict[str, Any]] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)


class World:
    """A service, its accounts, and the same accounts in a wallet elsewhere."""

    def __init__(
        self,
        source: random.Random,
        network: AttoNetwork,
        service: AttoService,
        wallet: Wallet,
        addresses: list[str],
    ) -> None:
        keys = AccountKeys(Mnemonic.parse(wallet.mnemonic).seed())
        self.twins = [AttoAccount(keys.private_key(index)) for index in range(len(addresses))]
        assert [twin.address.path for twin in self.twins] == addresses
        self.addresses = addresses
        self.told = Told()
        self.statuses: Counter[tuple[str, int | str]] = Counter()
        self._random = source
        self._network = network
        self._service = service
        self._wallet = wallet
        self._amounts = iter(range(1_000_001, 9_000_000))

    async def act(self) -> None:
        acts = {
            self._send: 30,
            self._send_at_a_height: 6,
            self._change: 8,
            self._fund: 8,
            self._send_elsewhere: 6,
            self._receive_elsewhere: 4,
            self._lose_replies: 3,
            self._lose_requests: 3,
            self._expire_elections: 3,
            self._cut_streams: 2,
            self._toggle_lock: 1,
            self._toggle_account: 2,
        }
        (act,) = self._random.choices(list(acts), list(acts.values()))
        await act()

    async def make_whole(self) -> None:
        self._network.heal()
        await self._service.unlock(self._wallet)
        for address in self.addresses:
            await self._service.post(f"/wallets/accounts/{address}/states/ENABLED")

    def state(self, twin: AttoAccount) -> AccountState:
        state = self._network.state(twin.address.path)
        assert state is not None
        return state

    async def _send(self, **body: int) -> None:
        sender, receiver = self._random.sample([*self.addresses, NOBODY], 2)
        sender, receiver = (receiver, sender) if sender == NOBODY else (sender, receiver)
        amount_raw = next(self._amounts)
        key = f"model-{amount_raw}" if self._random.random() < 0.5 else None
        response = await self._service.send(sender, receiver, amount_raw, key=key, **body)
        self.statuses["send", response.status_code] += 1
        if response.status_code == 200:
            self.told.made[amount_raw] = response.json()
        elif response.status_code == 504:
            self.told.unknown.add(amount_raw)
        else:
            self.told.refused.add(amount_raw)
            self._check_refusal(response.status_code, response.json()["message"], dict(body))

    def _check_refusal(self, status: int, message: str, body: dict[str, int]) -> None:
        if status == 409:
            assert body, message
        else:
            assert (status, message.partition(";")[0]) in {
                (400, f"Wallet {self._wallet.name} is locked"),
                (503, "Timed out before anything was signed"),
            }

    async def _send_at_a_height(self) -> None:
        await self._send(lastHeight=self.state(self._random.choice(self.twins)).height)

    async def _change(self) -> None:
        response = await self._service.change(
            self._random.choice(self.addresses), self._random.choice(REPRESENTATIVES)
        )
        self.statuses["change", response.status_code] += 1
        assert response.status_code in {200, 400, 422, 503, 504}, response.text

    async def _fund(self) -> None:
        await self._network.fund(self._random.choice(self.addresses), self._random.randrange(1, ATTO))

    async def _send_elsewhere(self) -> None:
        twin = self._random.choice(self.twins)
        await self._publish(
            twin.send(self.state(twin), Address.parse(NOBODY), self._random.randrange(1, 1000))
        )

    async def _receive_elsewhere(self) -> None:
        twin = self._random.choice(self.twins)
        for waiting in self._network.sandbox.chain.receivables([twin.public_key], 1):
            await self._publish(twin.receive(self.state(twin), waiting))
            return

    async def _publish(self, transaction: Transaction) -> None:
        """The service may be quicker; then the node refuses it."""
        result = "confirmed"
        try:
            await self._network.sandbox.node.elections.publish(transaction, deduplicate=False)
        except Problem:
            result = "refused"
        self.statuses["elsewhere", result] += 1

    async def _lose_replies(self) -> None:
        self._network.faults.drop_reply += 1

    async def _lose_requests(self) -> None:
        self._network.faults.drop_request += 1

    async def _expire_elections(self) -> None:
        self._network.faults.election_expired += 1
        self._network.faults.then_confirm = self._random.random() < 0.5

    async def _cut_streams(self) -> None:
        self._network.cut_streams()

    async def _toggle_lock(self) -> None:
        await self._service.lock(self._wallet)
        await asyncio.sleep(self._random.uniform(0, 0.05))
        await self._service.unlock(self._wallet)

    async def _toggle_account(self) -> None:
        address = self._random.choice(self.addresses)
        await self._service.post(f"/wallets/accounts/{address}/states/DISABLED")
        await asyncio.sleep(self._random.uniform(0, 0.05))
        await self._service.post(f"/wallets/accounts/{address}/states/ENABLED")


@pytest.fixture
async def sandbox() -> AsyncIterator[AttoNetwork]:
    async with running_sandbox() as network:
        yield network


async def run_acts(world: World, acts: int) -> None:
    async def lane() -> None:
        for _ in range(acts // LANES):
            await world.act()

    async with asyncio.TaskGroup() as group:
        for _ in range(LANES):
            group.create_task(lane())


def chain_sends(network: AttoNetwork, twins: list[AttoAccount]) -> dict[int, list[str]]:
    """Hashes of the sends of these accounts by their amount."""
    sends: dict[int, list[str]] = {}
    for twin in twins:
        for transaction in network.sandbox.chain.transactions(twin.public_key, 1, 2**63):
            if isinstance(transaction.block, SendBlock):
                sends.setdefault(transaction.block.amount, []).append(transaction.hash.hex().upper())
    return sends


def assert_told_the_truth(told: Told, sends: dict[int, list[str]]) -> None:
    for amount_raw, entry in told.made.items():
        assert sends[amount_raw] == [entry["hash"]]
    for amount_raw in told.refused:
        assert amount_raw not in sends
    for amount_raw in told.unknown:
        assert len(sends.get(amount_raw, [])) <= 1


async def assert_same_as_the_node(service: AttoService, network: AttoNetwork, twin: AttoAccount) -> None:
    """One account's state and history, once everything that waits for it is received."""
    path, chain = twin.address.path, network.sandbox.chain

    async def waiting() -> dict[bytes, int]:
        return network.receivables(path)

    async def stored() -> list[str]:
        page = await service.get(f"/wallets/accounts/{path}/entries?limit=1000")
        return [one["hash"] for one in page["entries"]][::-1]

    await until(waiting, lambda found: not found)
    state = network.state(path)
    assert state is not None
    hashes = [one.hash.hex().upper() for one in chain.entries(twin.public_key, 1, state.height)]
    await until(stored, lambda found: found == hashes)
    details = await service.details(path)
    assert details is not None
    assert (details["height"], details["balance"]) == (state.height, state.balance)
    assert Address.parse(details["representativeAddress"]).public_key == state.representative_public_key


async def play(source: random.Random, network: AttoNetwork, url: URL, folder: Path, acts: int) -> None:
    variables = database_variables(url, folder) | {"ATTO_REQUEST_TIMEOUT_S": "5"}
    async with running_service(network, variables) as service:
        wallet = await service.create_wallet()
        addresses = [await service.open_account(network, 100_000 * ATTO, wallet) for _ in range(ACCOUNTS)]
        network.faults.confirmation_delay_ms = 5
        world = World(source, network, service, wallet, addresses)
        await run_acts(world, acts)
        await world.make_whole()
        await until(
            lambda: service.ledger.database.fetch_all(OPEN_BLOCKS),
            lambda found: not found,
        )
        for twin in world.twins:
            await assert_same_as_the_node(service, network, twin)
        print(dict(world.statuses))  # noqa: T201 - what the seed led to
        assert_told_the_truth(world.told, chain_sends(network, world.twins))
        assert await service.verify_audit() > len(world.told.made)


async def test_random_acts_end_in_what_the_node_says(
    sandbox: AttoNetwork, database_url: URL, tmp_path: Path
) -> None:
    await play(seeded("model"), sandbox, database_url, tmp_path, ACTS)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("repetition", range(20))
async def test_random_acts_with_many_seeds(
    sandbox: AttoNetwork, database_url: URL, tmp_path: Path, repetition: int
) -> None:
    await play(seeded(f"model {repetition}"), sandbox, database_url, tmp_path, 4 * ACTS)
