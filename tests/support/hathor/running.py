"""A sandbox node on a port, and a sync that follows it, inside the test's loop."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

from sqlalchemy import Connection

from strongroom.core.clock import Clock, SystemClock, SystemEntropy
from strongroom.core.coordination.lease import Leases
from strongroom.core.http.exposure import Access
from strongroom.core.http.listener import Listener, Surface
from strongroom.core.messaging.outbox import Outbox
from strongroom.core.runtime.telemetry import Health, Metrics
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.storage.database import Database
from strongroom.hathor.gateway.events import HttpEventNode
from strongroom.hathor.protocol.addresses import MAINNET
from strongroom.hathor.sync.daemon import Sync, SyncReports, SyncSettings
from strongroom.hathor.sync.metrics import SyncMetrics
from strongroom.hathor.sync.source import Pins
from strongroom_sandbox.hathor.event_stream import Subscriptions
from strongroom_sandbox.hathor.journal import Journal
from strongroom_sandbox.hathor.node import Node
from strongroom_sandbox.hathor.node_app import create_node_app
from strongroom_sandbox.hathor.replay import replaying_node
from support.sql import execute

LEASE = "hathor.sync"
PATIENCE_S = 60.0


@asynccontextmanager
async def serving(application: object) -> AsyncGenerator[Listener]:
    listener = Listener(
        Surface(
            name="node",
            application=application,
            host="127.0.0.1",
            port=0,
            access=Access.PUBLIC,
            messages_a_minute=1_000_000,  # the event queue is acknowledged over one WebSocket
        )
    )
    task = asyncio.ensure_future(listener.serve())
    await listener.started()
    try:
        yield listener
    finally:
        listener.stop()
        listener._server.force_exit = True
        await task


@asynccontextmanager
async def serving_node(node: Node, subscriptions: Subscriptions | None = None) -> AsyncGenerator[str]:
    """The base URL of the node's API. `subscriptions` shows the connections of its event stream."""
    async with serving(create_node_app(node, subscriptions)) as listener:
        yield f"{listener.url}/v1a/"


def replaying(journal: Journal, reward_spend_min_blocks: int = 10) -> Node:
    """A node that only has events: those of `journal`."""
    return replaying_node(journal, SystemClock(), reward_spend_min_blocks=reward_spend_min_blocks)


class Following:
    """A sync under its lease, and what it says of itself."""

    def __init__(
        self,
        database: Database,
        url: str,
        *,
        holder: str = "test",
        pins: Pins | None = None,
        window: int = 50,
        clock: Clock | None = None,
        ttl_s: float = 8.0,
    ) -> None:
        self.clock = clock or SystemClock()
        self.health = Health()
        self.metrics = Metrics("test")
        self.sync_metrics = SyncMetrics(self.metrics)
        self.node = HttpEventNode(url)
        self.leases = Leases(database, self.clock, holder, ttl_s=ttl_s)
        self.sync = Sync(
            database=database,
            node=self.node,
            clock=self.clock,
            entropy=SystemEntropy(),
            outbox=Outbox(self.clock),
            reports=SyncReports(
                health=self._part("hathorSync"),
                node_health=self._part("hathorNode"),
                metrics=self.sync_metrics,
            ),
            settings=SyncSettings(
                network=MAINNET, pins=pins or Pins(network="mainnet"), window=window, idle_s=0.3
            ),
        )

    def _part(self, name: str) -> WorkHealth:
        part = WorkHealth(name, self.clock, self.metrics)
        self.health.watch(name, part.check)
        return part

    def value(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(name) or 0.0


@asynccontextmanager
async def following(follower: Following) -> AsyncGenerator[asyncio.Task[None]]:
    task = asyncio.ensure_future(follower.leases.lead(LEASE, follower.sync.run))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await follower.node.close()


async def synced(database: Database, event_id: int) -> None:
    """Waits until the event is applied."""

    def reached(connection: Connection) -> bool:
        rows = execute(connection, "SELECT last_event_id FROM sync_metadata WHERE id = 0")
        return bool(rows) and rows[0][0] >= event_id

    await until(database, reached)


async def until(database: Database, condition: Callable[[Connection], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await database.read(condition):  # noqa: ASYNC110 - another process may write it
            await asyncio.sleep(0.02)
