"""The sync follows a node over its real protocol, through faults, restarts and rivals."""

from contextlib import AsyncExitStack
from typing import Any

import pytest
from sqlalchemy import Connection

from strongroom.core.clock import SystemClock
from strongroom.core.coordination.lease import MAX_SKEW_S
from strongroom.core.errors import LeaseLost
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.runtime.telemetry import Status
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import DatabaseRefused, UnfitValue
from strongroom.hathor.protocol.addresses import MAINNET
from strongroom.hathor.protocol.events import Event
from strongroom.hathor.sync import daemon
from strongroom.hathor.sync.batch import Applied, Rules, apply_batch
from strongroom.hathor.sync.source import Pins, WrongSourceError
from strongroom_sandbox.hathor.generate import Generator
from strongroom_sandbox.hathor.journal import Journal
from support.hathor.model import Model, stored_tables
from support.hathor.running import Following, following, replaying, serving_node, synced
from support.hathor.streams import prepare
from support.waiting import PATIENCE_S, eventually

RULES = Rules(network=MAINNET, reward_spend_min_blocks=10)


async def check(database: Database, journal: Journal) -> None:
    now_s = SystemClock().now_ms() // 1000
    expected = Model(10).apply(journal.events).tables(now_s)
    assert await database.read(stored_tables) == expected


@pytest.mark.parametrize("window", [1, 7, 200])
async def test_the_stream_ends_in_the_right_tables(database: Database, window: int) -> None:
    await prepare(database)
    generator = Generator(1)
    journal = generator.run(300)
    async with serving_node(replaying(journal)) as url:
        follower = Following(database, url, window=window)
        async with following(follower):
            await synced(database, journal.latest_id)
            generator.run(500)  # the rest comes live
            await synced(database, journal.latest_id)
            await check(database, journal)
            assert follower.health.components()["hathorSync"].status is Status.UP
            await eventually(
                lambda: follower.value("strongroom_hathor_sync_events_total") == journal.latest_id + 1
            )


async def test_far_behind_it_reads_pages(database: Database) -> None:
    await prepare(database)
    journal = Generator(2).run(6_000)
    node = replaying(journal)
    async with serving_node(node) as url:
        follower = Following(database, url, window=10)
        async with following(follower):
            await synced(database, journal.latest_id)
            sample = follower.metrics.registry.get_sample_value
            await eventually(lambda: sample("strongroom_hathor_sync_events_behind") == 0)
            assert (sample("strongroom_hathor_sync_lag_seconds") or 0) < PATIENCE_S
    assert sample("strongroom_hathor_sync_events_behind") is None  # another process may follow now
    assert sample("strongroom_hathor_sync_lag_seconds") is None
    assert follower.value("strongroom_hathor_sync_batch_seconds_count") < 20
    await check(database, journal)


async def test_without_pages_the_stream_does(database: Database) -> None:
    await prepare(database)
    journal = Generator(2).run(2_000)
    node = replaying(journal)
    node.faults.pages_down = 10**9
    async with serving_node(node) as url:
        follower = Following(database, url, window=100)
        async with following(follower):
            await synced(database, journal.latest_id)
    await check(database, journal)


async def test_lost_and_repeated_events_are_healed(database: Database) -> None:
    await prepare(database)
    generator = Generator(3)
    journal = generator.run(100)
    node = replaying(journal)
    async with serving_node(node) as url:
        follower = Following(database, url, window=200)
        async with following(follower):
            await synced(database, journal.latest_id)
            node.faults.repeat_events = 5
            generator.run(journal.latest_id + 60)
            await synced(database, journal.latest_id)
            node.faults.skip_events = 3
            generator.run(journal.latest_id + 60)
            await synced(database, journal.latest_id)
            node.faults.skip_events = 1
            generator.chain.journal.append("LOAD_STARTED", {}, 0.0)  # the last event gets lost
            await synced(database, journal.latest_id)
            await eventually(lambda: follower.value("strongroom_hathor_sync_gaps_total") >= 2)
            await eventually(lambda: follower.value("strongroom_hathor_sync_repeated_events_total") >= 5)
    await check(database, journal)


async def test_a_silent_stream_is_noticed(database: Database) -> None:
    await prepare(database)
    generator = Generator(4)
    journal = generator.run(60)
    node = replaying(journal)
    async with serving_node(node) as url:
        follower = Following(database, url)
        async with following(follower):
            await synced(database, journal.latest_id)
            node.faults.silent = True
            generator.run(120)
            await eventually(lambda: follower.value("strongroom_hathor_sync_gaps_total") >= 1)
            node.faults.silent = False
            journal.on_event()
            await synced(database, journal.latest_id)


async def test_unknown_kinds_of_events_are_counted_and_passed_over(database: Database) -> None:
    await prepare(database)
    journal = Generator(5).run(30)
    journal.append("SOMETHING_NEW", {"any": [1, 2]}, 0.0)
    async with serving_node(replaying(journal)) as url:
        follower = Following(database, url)
        async with following(follower):
            await synced(database, journal.latest_id)
            sample = follower.metrics.registry.get_sample_value
            kind = {"kind": "SOMETHING_NEW"}
            await eventually(lambda: sample("strongroom_hathor_sync_unknown_events_total", kind) == 1)


async def test_an_impossible_event_stops_the_sync_there_and_loses_nothing(database: Database) -> None:
    await prepare(database)
    journal = Generator(6).run(50)
    good = journal.latest_id
    journal.append("NEW_VERTEX_ACCEPTED", {"hash": 7}, 0.0)
    async with serving_node(replaying(journal)) as url:
        follower = Following(database, url)
        async with following(follower):
            await synced(database, good)
            await eventually(lambda: follower.value("strongroom_hathor_sync_refused_events_total") >= 2)
            health = follower.health.components()["hathorSync"]
            assert health.status is Status.DEGRADED
            assert f"Event {good + 1}" in (health.detail or "")


@pytest.mark.parametrize(
    "error",
    [KeyError("nonce"), TypeError("None"), RecursionError("too deep"), UnfitValue(), DatabaseRefused(1366)],
    ids=lambda error: type(error).__name__,
)
async def test_an_event_that_fails_with_anything_is_named_until_it_works(
    database: Database, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    await prepare(database)
    journal = Generator(12).run(50)
    bad = journal.latest_id - 7

    def refuse(connection: Connection, events: list[Event], *arguments: Any) -> Applied:
        if any(event.id == bad for event in events):
            raise error
        return apply_batch(connection, events, *arguments)

    monkeypatch.setattr(daemon, "apply_batch", refuse)
    monkeypatch.setattr(daemon, "MAX_RETRY_S", 0.1)
    async with serving_node(replaying(journal)) as url:
        follower = Following(database, url)
        async with following(follower):
            await synced(database, bad - 1)
            components = follower.health.components
            await eventually(lambda: components()["hathorSync"].status is Status.DOWN)
            assert f"Event {bad} (" in (components()["hathorSync"].detail or "")
            assert fault_text(error) in (components()["hathorSync"].detail or "")
            assert components()["hathorNode"].status is Status.UP
            assert follower.sync._last_id == bad - 1
            monkeypatch.setattr(daemon, "apply_batch", apply_batch)
            await synced(database, journal.latest_id)
            await eventually(lambda: components()["hathorSync"].status is Status.UP)
    await check(database, journal)


async def test_a_node_that_goes_away_is_seen(database: Database) -> None:
    await prepare(database)
    journal = Generator(13).run(50)
    follower: Following
    async with AsyncExitStack() as stack:
        async with serving_node(replaying(journal)) as url:
            follower = Following(database, url)
            await stack.enter_async_context(following(follower))
            await synced(database, journal.latest_id)
            await eventually(lambda: follower.health.components()["hathorNode"].last_success_ms is not None)
        await eventually(lambda: follower.health.components()["hathorNode"].status is not Status.UP)
        assert follower.health.components()["hathorSync"].status is not Status.UP


@pytest.mark.parametrize(
    ("pins", "message"),
    [
        (Pins(network="testnet"), "FULLNODE_NETWORK"),
        (Pins(network="mainnet", peer_id="other"), "FULLNODE_PEER_ID"),
        (Pins(network="mainnet", stream_id="other"), "FULLNODE_STREAM_ID"),
    ],
)
async def test_a_wrong_node_stops_the_sync(database: Database, pins: Pins, message: str) -> None:
    await prepare(database)
    async with serving_node(replaying(Generator(7).run(20))) as url:
        follower = Following(database, url, pins=pins)
        lease = await follower.leases.acquire("hathor.sync")
        assert lease is not None
        with pytest.raises(WrongSourceError, match=message):
            await follower.sync.run(lease)
        await follower.node.close()
    assert (await database.read(stored_tables))["transaction"] == {}


async def test_another_event_database_or_a_reset_one_stops_the_sync(database: Database) -> None:
    await prepare(database)
    journal = Generator(8).run(80)
    async with serving_node(replaying(journal)) as url, following(Following(database, url)):
        await synced(database, journal.latest_id)
    for other in (Journal(stream_id="another"), Journal()):
        Generator(8, journal=other).run(20 if other.stream_id == "sandbox-stream" else 200)
        async with serving_node(replaying(other)) as url:
            follower = Following(database, url, holder=other.stream_id)
            lease = await follower.leases.acquire("hathor.sync")
            assert lease is not None
            with pytest.raises(WrongSourceError, match="sync into an empty database"):
                await follower.sync.run(lease)
            await follower.leases.release(lease)
            await follower.node.close()
    await check(database, journal)


async def test_reconnecting_starts_quickly_again_after_a_good_connection(database: Database) -> None:
    await prepare(database)
    generator = Generator(9)
    journal = generator.run(50)
    async with serving_node(replaying(journal)) as url:
        follower = Following(database, url)
        async with following(follower):
            follower.sync._backoff.attempts = 30
            await synced(database, journal.latest_id)
            await eventually(lambda: not follower.sync._backoff.attempts)


async def test_a_second_daemon_waits_and_takes_over(database: Database, replica: Database) -> None:
    await prepare(database)
    generator = Generator(10)
    journal = generator.run(200)
    async with serving_node(replaying(journal)) as url:
        first = Following(database, url, holder="first", ttl_s=2.0)
        second = Following(replica, url, holder="second", ttl_s=2.0)
        async with following(second):
            async with following(first):
                await synced(database, journal.latest_id)
                generator.run(400)
                await synced(database, journal.latest_id)
                applied = {0, journal.latest_id + 1}
                await eventually(
                    lambda: (
                        {f.value("strongroom_hathor_sync_events_total") for f in (first, second)} == applied
                    )
                )
            generator.run(600)
            await synced(database, journal.latest_id)
    await check(database, journal)


async def test_a_leader_that_lost_its_lease_writes_nothing(database: Database) -> None:
    await prepare(database)
    journal = Generator(11).run(60)
    async with serving_node(replaying(journal)) as url:
        stale = Following(database, url, holder="stale", ttl_s=-MAX_SKEW_S)
        old = await stale.leases.acquire("hathor.sync")
        new = await Following(database, url, holder="new").leases.acquire("hathor.sync")
        assert old is not None
        assert new is not None
        with pytest.raises(LeaseLost):
            await stale.sync.run(old)
        await stale.node.close()
    assert (await database.read(stored_tables))["transaction"] == {}
