"""Nodes that only tell: recorded streams, and chains generated at a rate."""

from pathlib import Path

import aiohttp
import pytest

from strongroom.core.errors import InvalidInput
from strongroom_sandbox.hathor.generate import Generator
from strongroom_sandbox.hathor.replay import Source, feed, parse_source, recorded_journal
from support.clock import ManualClock
from support.hathor.running import replaying, serving_node
from support.hathor.streams import SCENARIOS, VECTORS
from support.ports import free_port
from support.processes import strongroom
from support.running import running

BENCH = VECTORS / "bench_stream.jsonl.gz"


async def test_a_recorded_stream_is_told_as_it_was() -> None:
    journal = recorded_journal(VECTORS / "events" / "REORG.json")
    assert (journal.network, journal.stream_id, journal.latest_id) == (
        "unittests",
        "simulator_stream_id",
        19,
    )
    async with (
        serving_node(replaying(journal)) as url,
        aiohttp.ClientSession(base_url=url) as session,
        session.ws_connect("event_ws") as socket,
    ):
        await socket.send_json({"type": "START_STREAM", "window_size": 100})
        frames = [await socket.receive_json() for _ in range(20)]
    assert [frame["event"]["id"] for frame in frames] == list(range(20))
    assert frames[12]["event"]["type"] == "REORG_STARTED"
    assert frames[0]["peer_id"] == "simulator_peer_id"


def test_all_recorded_streams_are_read() -> None:
    assert recorded_journal(BENCH).latest_id == 8_050
    for name in SCENARIOS:
        assert recorded_journal(VECTORS / "events" / f"{name}.json").latest_id > 3


async def test_a_chain_is_generated_at_a_rate() -> None:
    clock, generator = ManualClock(), Generator(1)
    journal = generator.chain.journal
    begun = len(journal.events)
    async with running(feed(generator, 1_000, clock)):
        for _ in range(40):
            await clock.sleepers()
            clock.advance(0.05)
        await clock.sleepers()
        assert 2_000 <= len(journal.events) - begun <= 2_300


@pytest.mark.parametrize("text", ["", "recorded:/no/such/file", "generated:x:1", "generated:1", "other:1:1"])
def test_other_sources_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="SANDBOX_HATHOR_STREAM must be"):
        parse_source(text)


def test_sources_are_read() -> None:
    assert parse_source("generated:7:2.5") == Source(seed=7, rate_per_s=2.5)
    assert parse_source(f"recorded:{BENCH}") == Source(recorded=BENCH)


async def test_the_command_serves_a_stream(tmp_path: Path) -> None:
    port = free_port()
    variables = {
        "STRONGROOM_DATA": str(tmp_path),
        "SANDBOX_HATHOR_PORT": str(port),
        "SANDBOX_HATHOR_STREAM": "generated:3:500",
    }
    with strongroom("sandbox", "hathor", environment=variables) as process:
        process.wait_ready()
        async with (
            aiohttp.ClientSession(base_url=f"http://127.0.0.1:{port}/v1a/") as session,
            session.get("event", params={"size": 5}) as answer,
        ):
            assert [event["id"] for event in (await answer.json())["events"]] == [0, 1, 2, 3, 4]
        assert process.terminate() == 0, process.logs()
