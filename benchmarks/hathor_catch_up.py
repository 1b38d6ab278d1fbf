"""How the Hathor sync catches up: from the event stream or from pages, by how far it is behind.

    .venv/bin/python benchmarks/hathor_catch_up.py [--latency-ms 0] [--window 2000] [--behind 50 100 ...]
    .venv/bin/python benchmarks/hathor_catch_up.py --node http://host/v1a/ --network unittests --behind 3800

Measures from the start of the sync to the last event, on SQLite, best of three; the node is a process of its own that
holds the first N events of the recorded stream. `--node` measures against another node: `--behind` says how many events
it has. The daemon's `FAR` is chosen by this.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from strongroom.core.clock import SystemClock
from strongroom.core.http.exposure import Access
from strongroom.core.http.listener import Listener, Surface
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.hathor.sync import daemon
from strongroom.hathor.sync.source import Pins
from strongroom_sandbox.hathor.node_app import create_node_app
from strongroom_sandbox.hathor.replay import recorded_journal, replaying_node
from support.hathor.running import Following, following
from support.hathor.streams import prepare
from support.ports import free_port
from support.processes import Process

STREAM = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "hathor" / "bench_stream.jsonl.gz"
NETWORK = "unittests"
ROUNDS = 3


async def serve_node(events: int, latency_ms: int, port: int) -> None:
    journal = recorded_journal(STREAM)
    del journal.events[events:]
    node = replaying_node(journal, SystemClock())
    node.faults.latency_ms = latency_ms
    surface = Surface(
        name="node", application=create_node_app(node), host="127.0.0.1", port=port, access=Access.PUBLIC
    )
    listener = Listener(surface)
    serving = asyncio.ensure_future(listener.serve())
    await listener.started()
    print("serving", flush=True)
    await serving


@contextmanager
def node_process(events: int, latency_ms: int) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, __file__, "--serve", str(events), str(latency_ms), str(port)]
    with Process(command) as process:
        process.wait_for("serving", timeout_s=300)
        yield f"http://127.0.0.1:{port}/v1a/"


async def catch_up(url: str, network: str, window: int, last_id: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(sqlite_url(f"{folder}/hathor.sqlite3"))
        await prepare(database)
        follower = Following(database, url, window=window, pins=Pins(network=network))
        started_s = time.monotonic()
        async with following(follower):
            while follower.value("strongroom_hathor_sync_last_event_id") < last_id:
                await asyncio.sleep(0.002)
            took_s = time.monotonic() - started_s
        await database.close()
    return took_s


def measure(url: str, network: str, window: int, behind: int) -> None:
    best = {}
    for way, far in (("stream", 10**9), ("pages", 0)):
        daemon.FAR = far
        best[way] = min(asyncio.run(catch_up(url, network, window, behind - 1)) for _round in range(ROUNDS))
    print(f"{behind:>6,} behind: stream {best['stream']:.2f} s, pages {best['pages']:.2f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--behind", type=int, nargs="+", default=[50, 100, 200, 400, 1000, 3800, 8000])
    parser.add_argument("--latency-ms", type=int, default=0)
    parser.add_argument("--window", type=int, default=2000)
    parser.add_argument("--node")
    parser.add_argument("--network", default=NETWORK)
    parser.add_argument("--serve", type=int, nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve_node(*arguments.serve))
        return
    for behind in arguments.behind:
        if arguments.node:
            measure(arguments.node, arguments.network, arguments.window, behind)
            continue
        with node_process(behind, arguments.latency_ms) as url:
            measure(url, arguments.network, arguments.window, behind)


if __name__ == "__main__":
    main()
