"""What one process holds at a node of a real cluster, no other takes at the other node, though that node is late."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest
from sqlalchemy import Connection, select, text

from core.accounts import account, add, balances, create_accounts
from strongroom.core.coordination.idempotency import Attempt, Idempotency, Replay, Resume
from strongroom.core.coordination.lease import DEFAULT_TTL_S, MAX_SKEW_S, Lease, Leases
from strongroom.core.coordination.locks import take, take_one_of
from strongroom.core.errors import Forbidden, IdempotencyRunning, LeaseLost, OutcomeUnknown
from strongroom.core.guard.state import FreezeScope
from strongroom.core.messaging.outbox import Event, Outbox
from strongroom.core.messaging.outbox_reader import OutboxReader
from strongroom.core.security.audit import Audit
from strongroom.core.security.policy import SigningGate
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.clock import ManualClock
from support.databases import execute_elsewhere
from support.galera import Galera, Lag, two_databases
from support.guarding import ADMIN, Guarded, request
from support.running import running
from support.trail import open_trail, verify
from support.waiting import until_true

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

Nodes = tuple[Database, Database]


@pytest.fixture
async def nodes(galera: Galera) -> AsyncIterator[Nodes]:
    async with two_databases(galera) as databases:
        await create_accounts(databases[0], "a", "b")
        await asyncio.to_thread(galera.catch_up)
        yield databases


def read_raw(connection: Connection, name: str) -> int:
    """Locks nothing: what the unit relies on must hold it off."""
    query = account.select().where(account.c.name == name)
    return int(connection.execute(query).one().balance_raw)


def write_raw(connection: Connection, name: str, balance_raw: int) -> None:
    connection.execute(account.update().where(account.c.name == name).values(balance_raw=balance_raw))


HOLDS = {"one": lambda c: take(c, "books"), "one of many": lambda c: take_one_of(c, "book", b"1")}


@pytest.mark.parametrize("hold", HOLDS.values(), ids=HOLDS)
async def test_who_takes_a_lock_sees_what_its_last_holder_did_at_the_other_node(
    nodes: Nodes, lag: Lag, hold: Callable[[Connection], None]
) -> None:
    first, second = nodes
    runs = 0

    def raise_a(connection: Connection) -> None:
        hold(connection)
        write_raw(connection, "a", read_raw(connection, "a") + 1)

    def copy_a(connection: Connection) -> None:
        nonlocal runs
        runs += 1
        hold(connection)
        write_raw(connection, "b", read_raw(connection, "a"))

    for expected in range(1, 6):
        await lag.begin()
        await first.write(raise_a)
        await second.write(copy_a)
        assert await balances(second) == {"a": expected, "b": expected}
    assert runs > 5, "the second node was never late"


async def test_a_former_leader_writes_nothing_though_its_node_has_not_heard_of_the_new_one(
    nodes: Nodes, lag: Lag, clock: ManualClock
) -> None:
    first, second = (Leases(each, clock, holder=f"process {number}") for number, each in enumerate(nodes))

    def work(lease: Lease) -> Callable[[Connection], None]:
        def unit(connection: Connection) -> None:
            lease.check(connection)
            write_raw(connection, "a", read_raw(connection, "a") + 1)

        return unit

    for _ in range(5):
        former = await second.acquire("sync")
        assert former is not None
        await nodes[1].write(work(former))
        clock.advance(DEFAULT_TTL_S + MAX_SKEW_S)  # it stands still, and its term ends

        async def take_over() -> bool:
            return await first.acquire("sync") is not None

        await lag.begin()
        await until_true(take_over)
        with pytest.raises(LeaseLost):
            await nodes[1].write(work(former))
        clock.advance(DEFAULT_TTL_S + MAX_SKEW_S)
    assert await balances(nodes[1]) == {"a": 5, "b": 0}


async def test_readers_at_both_nodes_get_every_event_though_both_nodes_write_them(
    nodes: Nodes, lag: Lag, clock: ManualClock
) -> None:
    """A reader never goes back, and each node has numbers of its own for new rows."""
    outbox, number = Outbox(clock), 40

    async def write_many(database: Database, stream: str) -> None:
        for sequence in range(number):

            def unit(connection: Connection, sequence: int = sequence) -> None:
                take(connection, "books")
                events = [Event(stream=stream, sequence=2 * sequence + one, payload="{}") for one in range(2)]
                outbox.append(connection, "socket", events)

            await database.write(unit)

    readers = [OutboxReader(database, "socket") for database in nodes]
    heard: list[list[tuple[int, str]]] = [[], []]

    async def read_all(reader: OutboxReader, into: list[tuple[int, str]]) -> None:
        while len(into) < 4 * number:
            records, _ = await reader.read({"first", "second"})
            into += [(reader.last_id, record.stream) for record in records]

    for reader in readers:
        await reader.begin()
    async with asyncio.timeout(60), running(lag.keep_up()):
        await asyncio.gather(
            *(read_all(reader, into) for reader, into in zip(readers, heard, strict=True)),
            write_many(nodes[0], "first"),
            write_many(nodes[1], "second"),
        )
    assert [stream for _, stream in heard[0]] == [stream for _, stream in heard[1]]


async def test_nothing_is_signed_at_one_node_after_a_freeze_at_the_other(
    nodes: Nodes, lag: Lag, clock: ManualClock
) -> None:
    first, second = Guarded(nodes[0], clock), Guarded(nodes[1], clock, seed=2)
    gate = SigningGate(second.guard, Audit(clock, open_trail()))

    def sign(connection: Connection) -> None:
        with gate.sign(connection, request(), lambda message: message):
            pass

    for _ in range(5):
        await nodes[1].write(sign)
        await lag.begin()
        await first.rules.freeze(ADMIN, FreezeScope.WALLET, "hot", "a theft")
        with pytest.raises(Forbidden):
            await nodes[1].write(sign)
        await first.rules.unfreeze(ADMIN, FreezeScope.WALLET, "hot")
        await until_true(lambda: is_allowed(second))
    assert await verify(nodes[1]) == 25  # a freeze and its end write two rows each


async def is_allowed(guarded: Guarded) -> bool:
    try:
        await guarded.ask(request())
    except Forbidden:
        return False
    return True


async def test_a_key_is_claimed_at_one_node_and_refers_to_one_payload(
    nodes: Nodes, lag: Lag, clock: ManualClock
) -> None:
    both = [
        Idempotency(each, clock, Leases(each, clock, holder=f"process {number}"))
        for number, each in enumerate(nodes)
    ]
    fingerprint = bytes(32)
    for number in range(5):
        key = f"key-{number}"
        await lag.begin()
        found = await asyncio.gather(
            *(each.begin("send", key, fingerprint) for each in both), return_exceptions=True
        )
        # Neither process has said that it lives, so that the other may take its request over.
        claims = [one for one in found if isinstance(one, Attempt)]
        assert claims
        assert all(isinstance(one, Attempt | Resume | Replay | IdempotencyRunning) for one in found)
        await lag.begin()
        signed = await asyncio.gather(
            *(
                database.write(partial(one.refer, attempt=claims[0], reference=mine))
                for one, database, mine in zip(both, nodes, ("first", "second"), strict=True)
            ),
            return_exceptions=True,
        )
        assert sorted(type(one).__name__ for one in signed) == ["LeaseLost", "NoneType"]


async def test_a_unit_runs_again_wherever_the_other_node_undoes_it(
    galera: Galera, nodes: Nodes, lag: Lag
) -> None:
    """At the commit, whose answer proves that nothing was committed; or earlier, by what its own node applies."""
    first, second = nodes
    runs = list[str]()

    def late(connection: Connection) -> None:
        runs.append("late")
        add(connection, "a", 1)

    await lag.begin()
    await first.write(lambda connection: add(connection, "a", 1))
    await second.write(late)
    assert len(runs) > 1
    await asyncio.to_thread(galera.catch_up)

    def slow(connection: Connection) -> None:
        runs.append("slow")
        add(connection, "a", 1)
        if runs.count("slow") == 1:
            execute_elsewhere(first.url, "UPDATE account SET balance_raw = balance_raw + 1 WHERE name = 'a'")
            for _ in range(1_000):  # until the second node applies it, which ends this transaction
                connection.execute(text("SELECT SLEEP(0.01)"))

    await second.write(slow)
    assert runs.count("slow") == 2
    assert await balances(second) == {"a": 4, "b": 0}


async def test_nothing_is_signed_at_one_node_that_a_rule_of_the_other_denies(
    nodes: Nodes, lag: Lag, clock: ManualClock
) -> None:
    first, second = Guarded(nodes[0], clock), Guarded(nodes[1], clock, seed=2)
    gate = SigningGate(second.guard, Audit(clock, open_trail()))

    def sign(connection: Connection) -> None:
        with gate.sign(connection, request(), lambda message: message):
            pass

    for number in range(5):
        await nodes[1].write(sign)
        await lag.begin()
        await first.add(f"none {number}", {"effect": "deny"})
        with pytest.raises(Forbidden):
            await nodes[1].write(sign)
        await first.rules.remove(ADMIN, f"none {number}")
        await until_true(lambda: is_allowed(second))


@pytest.mark.parametrize("way", ["freeze", "rule"])
async def test_signatures_in_many_lanes_end_with_a_freeze_or_a_rule_at_the_other_node(
    nodes: Nodes, lag: Lag, clock: ManualClock, way: str
) -> None:
    """Eight at a time sign at the late node, each over a connection and in a lane of its own."""
    first, second = Guarded(nodes[0], clock), Guarded(nodes[1], clock, seed=2)
    gate = SigningGate(second.guard, Audit(clock, open_trail()))
    signed, is_held = 0, False

    def sign(connection: Connection) -> None:
        with gate.sign(connection, request(), lambda message: message):
            pass

    async def sign_on() -> None:
        nonlocal signed
        while True:
            began_held = is_held
            try:
                await nodes[1].write(sign)
            except Forbidden:
                return
            assert not began_held, "it was signed after the other node held it back"
            signed += 1

    async with asyncio.timeout(120), running(lag.keep_up()):
        signers = [asyncio.create_task(sign_on()) for _ in range(8)]
        while signed < 40:  # noqa: ASYNC110 - it waits for work, not for time
            await asyncio.sleep(0)
        if way == "freeze":
            await first.rules.freeze(ADMIN, FreezeScope.WALLET, "hot", "a theft")
        else:
            await first.add("none", {"effect": "deny"})
        is_held = True
        await asyncio.gather(*signers)
    assert await verify(nodes[1]) == signed + 2  # a change of rules or freezes writes two rows
    lanes = await nodes[1].fetch_all(select(tables.audit.c.lane).distinct())
    assert len(lanes) > 1


async def test_a_commit_at_a_node_that_dies_is_unknown(galera: Galera, nodes: Nodes) -> None:
    """The last test of this file: the second node stays dead."""

    async def commits() -> bool:
        query = "SHOW FULL PROCESSLIST"
        listed = await asyncio.to_thread(execute_elsewhere, galera.second.url(), query)
        return any("COMMIT" in row for row in listed)

    await nodes[1].write(lambda connection: add(connection, "b", 1))  # so that it is connected
    assert galera.first.process is not None
    galera.first.process.pause()  # so that it does not take part in the order of commits
    try:
        writing = asyncio.create_task(nodes[1].write(lambda connection: add(connection, "a", 1)))
        await until_true(commits)
        await asyncio.to_thread(galera.second.kill)
        with pytest.raises(OutcomeUnknown):
            await writing
    finally:
        galera.first.process.resume()
