"""A network that was reset, a node that was restored: the way out, and what it refuses."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, Self

import pytest
from sqlalchemy.engine import URL

from strongroom.atto.gateway import InvalidNodeResponse
from strongroom.atto.gateway.node import HttpNode
from strongroom.atto.protocol import Address, Network, Transaction
from strongroom.atto.transactions.abandonment import REASON, abandon
from strongroom.atto.transactions.blocks import transaction_of
from strongroom.atto.transactions.reconciliation import Comparison, Reconciler, Standing, require_abandonable
from strongroom.core.clock import SystemClock
from strongroom.core.errors import Conflict, NotFound
from strongroom.core.intents.store import load_open
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.audit import Audit
from strongroom_sandbox.atto import Chain
from support.atto_account import AttoAccount
from support.atto_network import AttoNetwork, running_network
from support.atto_service import (
    ATTO,
    NOBODY,
    AttoService,
    Wallet,
    database_variables,
    entry,
    running_service,
    until,
)
from support.callback_sink import running_sink
from support.seeds import seeded

pytestmark = pytest.mark.anyio

ELSEWHERE = Address.parse(NOBODY)
Start = Callable[[], Any]


@pytest.fixture
async def network() -> AsyncIterator[AttoNetwork]:
    """One of the test's own: its history will be replaced."""
    async with running_network() as network:
        yield network


@pytest.fixture
async def start(network: AttoNetwork, database_url: URL, tmp_path: Any) -> AsyncIterator[Start]:
    async with running_sink(seeded("reconcile")) as sink:
        variables = database_variables(database_url, tmp_path)
        variables |= {"ATTO_REQUEST_TIMEOUT_S": "2", "CALLBACK_URL": sink.url}
        yield lambda: running_service(network, variables)


def history(network: AttoNetwork) -> list[Transaction]:
    """Everything that was confirmed after the first block, in order."""
    return list(network.sandbox.chain._transactions.values())[1:]


def replace_history(network: AttoNetwork, transactions: list[Transaction]) -> None:
    """The node was reset, or restored from another history."""
    chain = Chain()
    for transaction in transactions:
        chain.apply(transaction, network.clock.now_ms())
    network.sandbox.node.ledger.load(chain)
    network.sandbox.node.elections._recent._seen_s.clear()
    network.cut_streams()


class Operator:
    """Who uses `strongroom atto reconcile`."""

    def __init__(self, service: AttoService, network: AttoNetwork) -> None:
        self.node = HttpNode(network.node_url, SystemClock())
        self.database = service.ledger.database
        self.audit = Audit(SystemClock(), service.ledger.trail_key)
        self.reader = Reconciler(node=self.node, database=self.database, network=Network.LOCAL)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.node.close()

    async def compare(self) -> list[Comparison]:
        return await self.reader.compare()

    async def abandon(self, shown: str) -> list[str]:
        divergence = require_abandonable([await self.reader.judge(bytes.fromhex(shown))])
        work = partial(
            abandon,
            divergence=divergence,
            principal=OPERATOR,
            audit=self.audit,
            network=Network.LOCAL,
            now_ms=0,
        )
        return [one.hex().upper() for one in await self.database.write(work)]


async def assert_true(service: AttoService, network: AttoNetwork, address: str) -> None:
    """History and state are the chain's, and the audit trail holds."""
    chain = network.sandbox.chain
    key = Address.parse(address).public_key
    true = [one.hash.hex().upper() for one in chain.entries(key, 1, 1000)][::-1]

    async def shown() -> list[str]:
        return [one["hash"] for one in (await service.get(f"/wallets/accounts/{address}/entries"))["entries"]]

    await until(shown, lambda found: found == true)
    details, state = await service.details(address), network.state(address)
    assert details is not None
    assert state is not None
    assert (details["height"], details["balance"]) == (state.height, state.balance)
    await service.verify_audit()


async def held_block(service: AttoService, address: str) -> str:
    """Makes a send whose predecessor the node does not have; returns its hash from the next caller's error."""
    unknown = await service.send(address, NOBODY, ATTO, key="held")
    assert (unknown.status_code, unknown.json()["code"]) == (504, "outcome_unknown")
    refused = await service.send(address, NOBODY, ATTO)
    assert (refused.status_code, refused.json()["code"]) == (503, "account_held")
    message = refused.json()["message"]
    (intent,) = await service.ledger.database.read(load_open)
    shown: str = intent.id.hex().upper()
    for part in (
        shown,
        f"height {transaction_of(intent).block.height}",
        address,
        "strongroom atto reconcile",
    ):
        assert part in message
    return shown


async def test_after_a_reset_the_account_continues_and_its_history_is_right(
    start: Start, network: AttoNetwork
) -> None:
    async with start() as service:
        wallet = await service.create_wallet()
        address = await service.open_account(network, 50 * ATTO, wallet)
        paid = entry(await service.send(address, NOBODY, ATTO))
        replace_history(network, [])
        held = await held_block(service, address)
        async with Operator(service, network) as operator:
            (found,) = await operator.compare()
            assert (found.standing, found.node) == (Standing.NODE_BEHIND, None)
            assert found.open_block is not None
            assert found.open_block.id.hex().upper() == held
            given_up = await operator.abandon(held)
            assert set(given_up) >= {held, paid["hash"]}
            assert await operator.compare() == []
            with pytest.raises(NotFound):
                await operator.abandon(held)
        for shown in (held, paid["hash"]):
            status = await service.get(f"/wallets/accounts/transactions/{shown}")
            assert (status["state"], status["reason"], status["entry"]) == ("REJECTED", REASON, None)
        answered = await until(
            lambda: service.send(address, NOBODY, ATTO, key="held"),
            lambda response: response.status_code not in {409, 503, 504},
        )
        assert (answered.status_code, answered.json()["message"]) == (422, REASON)
    async with start() as service:
        await network.fund(address, 20 * ATTO)
        await service.until_balance(address, 20 * ATTO)
        assert entry(await service.send(address, NOBODY, ATTO))["height"] == 2
        await assert_true(service, network, address)
        async with Operator(service, network) as operator:
            assert await operator.compare() == []


async def test_what_a_restored_node_may_still_take_is_offered_and_not_abandoned(
    start: Start, network: AttoNetwork
) -> None:
    async with start() as service:
        wallet = await service.create_wallet()
        address = await service.open_account(network, 50 * ATTO, wallet)
        first = entry(await service.send(address, NOBODY, ATTO))
        last = entry(await service.send(address, NOBODY, 2 * ATTO))
        older = history(network)[:-2]
        replace_history(network, older)
        async with Operator(service, network) as operator:
            (found,) = await operator.compare()
            assert found.standing is Standing.NODE_BEHIND
            with pytest.raises(Conflict, match=first["hash"]):
                await operator.abandon(last["hash"])
            divergence = await operator.reader.judge(bytes.fromhex(last["hash"]))
            for transaction in await operator.reader.missing_blocks(divergence):
                await operator.node.publish(transaction)
            assert await operator.compare() == []
        assert entry(await service.send(address, NOBODY, ATTO))["height"] == 4
        await assert_true(service, network, address)


async def fork(
    service: AttoService, network: AttoNetwork, wallet: Wallet, address: str
) -> tuple[AttoAccount, str]:
    """The node has another block at height 2 than the one that was confirmed here."""
    ours = entry(await service.send(address, NOBODY, ATTO))
    replace_history(network, history(network)[:-1])
    twin, state = wallet.account(), network.state(address)
    assert state is not None
    await network.publish(twin.send(state, ELSEWHERE, 7))
    return twin, ours["hash"]


async def test_after_a_fork_the_account_has_the_nodes_state(start: Start, network: AttoNetwork) -> None:
    async with start() as service:
        wallet = await service.create_wallet()
        address = await service.open_account(network, 50 * ATTO, wallet)
        _, ours = await fork(service, network, wallet, address)
        async with Operator(service, network) as operator:
            (found,) = await operator.compare()
            assert found.standing is Standing.FORKED
            assert await operator.abandon(ours) == [ours]
            assert await operator.compare() == []
        sent = entry(await service.send(address, NOBODY, ATTO))
        assert (sent["height"], sent["previousBalance"]) == (3, 50 * ATTO - 7)
        await assert_true(service, network, address)
        assert (await service.get(f"/wallets/accounts/transactions/{ours}"))["state"] == "REJECTED"


async def test_a_block_that_is_merely_slow_is_not_abandoned(start: Start, network: AttoNetwork) -> None:
    async with start() as service:
        address = await service.open_account(network, 50 * ATTO)
        network.faults.confirmation_delay_ms = 5_000
        unknown = await service.send(address, NOBODY, ATTO, key="slow")
        assert unknown.status_code == 504
        (intent,) = await service.ledger.database.read(load_open)
        async with Operator(service, network) as operator:
            with pytest.raises(Conflict, match="could still take"):
                await operator.abandon(intent.id.hex())
        network.heal()
        await service.until_balance(address, 49 * ATTO)


@pytest.mark.parametrize("known", [1, 0], ids=["an old state", "no state"])
async def test_a_node_that_contradicts_itself_has_nothing_abandoned(
    start: Start, network: AttoNetwork, monkeypatch: pytest.MonkeyPatch, known: int
) -> None:
    """The node reports an old state of the account but has the later blocks, so it will take the open one."""
    async with start() as service:
        wallet = await service.create_wallet()
        address = await service.open_account(network, 50 * ATTO, wallet)
        old, twin = network.state(address), wallet.account()
        assert old is not None
        await network.publish(twin.send(old, ELSEWHERE, 7))  # its bytes are not known here
        await service.until_balance(address, 50 * ATTO - 7)
        network.faults.drop_request = 10**6
        assert (await service.send(address, NOBODY, ATTO, key="open")).status_code == 504
        (intent,) = await service.ledger.database.read(load_open)
        async with Operator(service, network) as operator:

            async def account(_: Address) -> Any:
                return old if known else None

            monkeypatch.setattr(operator.node, "account", account)
            with pytest.raises(InvalidNodeResponse, match="of this account"):
                await operator.abandon(intent.id.hex())
        network.heal()
        await service.until_balance(address, 49 * ATTO - 7)


async def test_nodes_that_do_not_agree_abandon_nothing(start: Start, network: AttoNetwork) -> None:
    async with start() as service, running_network() as second:
        wallet = await service.create_wallet()
        address = await service.open_account(network, 50 * ATTO, wallet)
        _, ours = await fork(service, network, wallet, address)
        other = HttpNode(second.node_url, SystemClock())
        try:
            async with Operator(service, network) as operator:
                elsewhere = Reconciler(node=other, database=operator.database, network=Network.LOCAL)
                judged: list[Awaitable[Any]] = [
                    one.judge(bytes.fromhex(ours)) for one in (operator.reader, elsewhere)
                ]
                divergences = [await one for one in judged]
                with pytest.raises(Conflict, match="The nodes disagree"):
                    require_abandonable(divergences)
        finally:
            await other.close()


async def test_an_account_that_moved_since_the_verdict_is_left_alone(
    start: Start, network: AttoNetwork
) -> None:
    async with start() as service:
        wallet = await service.create_wallet()
        address = await service.open_account(network, 50 * ATTO, wallet)
        _, ours = await fork(service, network, wallet, address)
        async with Operator(service, network) as operator:
            divergence = await operator.reader.judge(bytes.fromhex(ours))
            await operator.abandon(ours)
            with pytest.raises(Conflict, match="has just changed"):
                await operator.database.write(
                    partial(
                        abandon,
                        divergence=divergence,
                        principal=OPERATOR,
                        audit=operator.audit,
                        network=Network.LOCAL,
                        now_ms=0,
                    )
                )
