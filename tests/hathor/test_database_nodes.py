"""Two processes of Hathor, each connected to a node of a cluster, of which the second one is late."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection

from hathor.sync.test_crash import check, environment, start
from strongroom.core.clock import SystemClock
from strongroom.core.coordination.lease import DEFAULT_TTL_S, MAX_SKEW_S, Lease, Leases
from strongroom.core.errors import LeaseLost
from strongroom.core.storage.database import Database
from strongroom.hathor.definition import REVISIONS
from strongroom.hathor.maintenance.deletion import delete_wallet
from strongroom.hathor.maintenance.verifier import Verifier
from strongroom.hathor.proposals.store import refuse
from strongroom.hathor.protocol.addresses import MAINNET
from strongroom.hathor.sync.batch import Applied, Rules, apply_batch
from strongroom.hathor.wallets.loading import load_wallet
from strongroom_sandbox.hathor.generate import START_S, Generator, Plan
from support.clock import ManualClock
from support.galera import LONG, Galera, Lag, two_databases
from support.hathor.api import WALLET_ID, recorded_rows, serving_api
from support.hathor.model import Model, stored_tables
from support.hathor.proposals import NOW_S, Client, payment
from support.hathor.running import replaying, serving_node, synced
from support.hathor.streams import OUTBOX, read_lines
from support.hathor.wallets import WALLET, favourites, insert_wallet
from support.sql import execute

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

Nodes = tuple[Database, Database]
RULES = Rules(network=MAINNET, reward_spend_min_blocks=10)
DEVICES = "SELECT COUNT(*) FROM push_devices"
HELD = "SELECT COUNT(*) FROM strongroom_hathor_held_output"


@pytest.fixture
async def nodes(galera: Galera) -> AsyncIterator[Nodes]:
    async with two_databases(galera, [REVISIONS]) as databases:
        yield databases


@pytest.fixture
async def clients(galera: Galera, nodes: Nodes, clock: ManualClock) -> AsyncIterator[tuple[Client, Client]]:
    """The recorded wallet before two processes."""
    async with serving_api(nodes[0], clock, rows=recorded_rows()) as first:
        await Client(first).announce()
        await asyncio.to_thread(galera.catch_up)
        async with serving_api(nodes[1], clock) as second:
            yield Client(first), Client(second)


async def number(database: Database, query: str) -> int:
    rows = await database.read(lambda connection: execute(connection, query))
    return int(rows[0][0])


async def test_an_output_is_held_for_one_of_two_proposals(clients: tuple[Client, Client], lag: Lag) -> None:
    for spent in ((0,), (1,), (7,)):
        await lag.begin()
        asked = [
            client.ask("POST", "/tx/proposal", {"txHex": payment(*spent, value=value).encode().hex()})
            for value, client in enumerate(clients, 1)
        ]
        answers = await asyncio.gather(*asked)
        assert sorted(status for status, _ in answers) == [201, 400]
        assert {body.get("error") for _, body in answers} == {None, "inputs-already-used"}


@pytest.mark.parametrize("waits", [True, False])
async def test_a_proposal_made_at_one_node_is_sent_at_the_other(
    galera: Galera, lag: Lag, clock: ManualClock, *, waits: bool
) -> None:
    async with two_databases(galera, [REVISIONS], waits=waits) as nodes, AsyncExitStack() as stack:
        serving = serving_api(nodes[0], clock, rows=recorded_rows())
        first = Client(await stack.enter_async_context(serving))
        await first.announce()
        await asyncio.to_thread(galera.catch_up)
        second = Client(await stack.enter_async_context(serving_api(nodes[1], clock)))
        transaction = payment(1)
        await lag.begin(LONG)
        identifier = await first.propose(transaction)
        status, answer = await second.send(identifier, transaction)
        assert (status, answer.get("error")) == ((200, None) if waits else (404, "tx-proposal-not-found"))


async def test_what_failed_at_one_node_is_sent_at_the_other_only_with_its_outputs_held(
    galera: Galera, clients: tuple[Client, Client], nodes: Nodes, lag: Lag
) -> None:
    transaction = payment(1)
    identifier = await clients[0].propose(transaction)
    await asyncio.to_thread(galera.catch_up)
    await lag.begin(LONG)
    await nodes[0].write(partial(refuse, proposal_id=identifier, wallet_id=WALLET_ID, now_s=NOW_S))
    assert (await clients[1].send(identifier, transaction))[0] == 200
    assert await number(nodes[1], HELD) == 1


async def test_a_deleted_wallet_gets_no_device(
    clients: tuple[Client, Client], nodes: Nodes, lag: Lag
) -> None:
    body = {"deviceId": "phone", "pushProvider": "android", "enablePush": True, "enableShowAmounts": False}
    api = clients[1].api
    await lag.begin()
    await nodes[0].write(partial(delete_wallet, wallet_id=WALLET_ID))
    answer = await api.client.post("/wallet/push/register", headers=api.full(), json=body)
    assert answer.json()["error"] == "wallet-not-found"
    assert await number(nodes[1], DEVICES) == 0


async def test_a_former_leader_applies_nothing(nodes: Nodes, lag: Lag, clock: ManualClock) -> None:
    events = read_lines(Generator(31).run(200))
    first, second = (Leases(each, clock, holder=f"process {number}") for number, each in enumerate(nodes))
    former = await second.acquire("hathor.sync")
    assert former is not None

    def work(connection: Connection, lease: Lease, end: int) -> Applied:
        lease.check(connection)
        return apply_batch(connection, events[:end], RULES, OUTBOX, START_S)

    await nodes[1].write(partial(work, lease=former, end=50))
    clock.advance(DEFAULT_TTL_S + MAX_SKEW_S)
    await lag.begin(LONG)
    leader = await first.acquire("hathor.sync")
    while leader is None:
        leader = await first.acquire("hathor.sync")
    await nodes[0].write(partial(work, lease=leader, end=60))
    with pytest.raises(LeaseLost):
        await nodes[1].write(partial(work, lease=former, end=100))
    await nodes[0].write(partial(work, lease=leader, end=len(events)))


async def test_the_sync_and_a_deletion_at_two_nodes_leave_what_the_chain_says(
    galera: Galera, nodes: Nodes, lag: Lag
) -> None:
    journal = Generator(32, Plan(favourites=favourites(range(40)))).run(600)
    events = read_lines(journal)
    step = len(events) // 6
    for begin in range(0, len(events), step):
        await nodes[0].write(insert_wallet)
        await load_wallet(nodes[0], SystemClock(), MAINNET, WALLET)
        await asyncio.to_thread(galera.catch_up)
        await lag.begin()
        await nodes[0].write(partial(delete_wallet, wallet_id=WALLET))
        await nodes[1].write(
            partial(
                apply_batch, events=events[begin : begin + step], rules=RULES, outbox=OUTBOX, now_s=START_S
            )
        )
        for table in ("wallet_balance", "wallet_tx_history"):
            assert await number(nodes[1], f"SELECT COUNT(*) FROM {table}") == 0  # noqa: S608 - our own names
    verifier = Verifier(database=nodes[1], clock=ManualClock(START_S * 1000), rules=RULES)
    assert (await verifier.run()).differences == []
    expected = Model(10).apply(journal.events).tables(START_S)
    assert await nodes[1].read(stored_tables) == expected


async def test_a_sync_that_was_paused_leaves_the_lead_to_the_one_at_the_other_node(
    galera: Galera, nodes: Nodes, tmp_path: Path
) -> None:
    """As processes: each event is applied once, and the one that stood still says that it lost its lease."""
    generator = Generator(33)
    journal = generator.run(300)
    urls = [node.url(str(nodes[0].url.database)) for node in (galera.first, galera.second)]
    async with serving_node(replaying(journal)) as node_url, AsyncExitStack() as stack:
        variables = [environment(url, node_url, tmp_path) for url in urls]
        second = stack.enter_context(await asyncio.to_thread(start, variables[1]))
        await asyncio.to_thread(second.wait_for, "lease taken")
        first = stack.enter_context(await asyncio.to_thread(start, variables[0]))
        await synced(nodes[0], journal.latest_id)
        generator.run(500)  # so that it is paused at its work
        second.pause()
        await asyncio.to_thread(first.wait_for, "lease taken")
        await synced(nodes[0], journal.latest_id)
        second.resume()
        generator.run(700)
        await asyncio.to_thread(second.wait_for, "lease lost")
        await synced(nodes[0], journal.latest_id)
    await check(nodes[0], journal)
