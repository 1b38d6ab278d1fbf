"""Delivers the events of one ledger to its endpoints. It runs under a lease, so that one process keeps the order of each stream.

Each endpoint has a queue and connections of its own, so that none waits for another.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog
from sqlalchemy import Connection

from strongroom.core.clock import Clock, Entropy, sleep_unless
from strongroom.core.coordination.loops import LoopContext
from strongroom.core.runtime.background import cancel_all
from strongroom.core.security.access import system_principal
from strongroom.core.security.audit import Audit
from strongroom.core.storage.database import Database
from strongroom.core.webhooks.announcer import WebhookAnnouncer
from strongroom.core.webhooks.delivery import EndpointQueue, Means
from strongroom.core.webhooks.endpoint import Endpoint, EndpointState, Private
from strongroom.core.webhooks.queue import forget_delivered, waiting_streams
from strongroom.core.webhooks.sealing import EndpointSealing
from strongroom.core.webhooks.sender import Senders
from strongroom.core.webhooks.store import find_endpoint, load_endpoints, update_endpoint

log = structlog.get_logger(__name__)

LOOK_S: Final = 0.5
SETTLE_S: Final = 0.02
"""What is announced is committed soon after."""
WHOLE_LOOK_S: Final = 30.0
OVERLAP: Final = 1_000
"""Transactions may commit in another order than that of their ids: each look goes back so many rows."""
GONE: Final = "it answered 410 Gone: it wants no more events"
SERVICE: Final = system_principal("webhooks")


class WebhookDispatcher:
    """See the module. `run` is the work of a loop under the ledger's lease."""

    def __init__(
        self,
        database: Database,
        *,
        announcer: WebhookAnnouncer,
        sealing: EndpointSealing,
        senders: Senders,
        audit: Audit,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._database = database
        self._announcer = announcer
        self._sealing = sealing
        self._senders = senders
        self._audit = audit
        self._clock = clock
        self._entropy = entropy
        self._queues: dict[str, EndpointQueue] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._seen = 0
        self._whole_look_s = 0.0

    async def run(self, context: LoopContext) -> None:
        """Raises: LeaseLost: another process delivers now."""
        wake = asyncio.Event()
        loop = asyncio.get_running_loop()

        def queued() -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(wake.set)

        self._announcer.listen(queued)
        self._seen, self._whole_look_s = 0, self._clock.monotonic_s() + WHOLE_LOOK_S
        means = Means(
            database=self._database,
            clock=self._clock,
            entropy=self._entropy,
            lease=context.term,
            open=self.open,
            gone=self._gone,
        )
        try:
            while True:
                await self._look(means)
                context.health.succeeded()
                await sleep_unless(wake, self._clock, LOOK_S)
                await self._clock.sleep(SETTLE_S)
        finally:
            self._announcer.listen(lambda: None)
            await cancel_all(self._tasks.values())
            self._queues.clear()
            self._tasks.clear()

    async def forget_delivered(self, keep_ms: int) -> None:
        before_ms = self._clock.now_ms() - keep_ms
        while await self._database.write(lambda connection: forget_delivered(connection, before_ms)):
            pass

    def troubles(self) -> dict[str, str]:
        """By the names of endpoints to which nothing can be sent, why."""
        return {one.endpoint.name: one.trouble for one in self._queues.values() if one.trouble is not None}

    def open(self, endpoint: Endpoint) -> Private:
        """Raises: Sealed, VaultError."""
        return self._sealing.open(endpoint.id, endpoint.shown_url, endpoint.wanted, endpoint.sealed)

    async def _look(self, means: Means) -> None:
        for task in self._tasks.values():
            if task.done():
                task.result()  # LeaseLost, or a defect: the loop begins again
        if self._clock.monotonic_s() >= self._whole_look_s:
            self._seen, self._whole_look_s = 0, self._clock.monotonic_s() + WHOLE_LOOK_S
        endpoints = [
            one for one in await self._database.read(load_endpoints) if one.state is EndpointState.ACTIVE
        ]
        await self._arrange(endpoints, means)
        if not endpoints:
            return
        after = max(0, self._seen - OVERLAP)
        streams, self._seen = await self._database.read(lambda connection: waiting_streams(connection, after))
        for endpoint_id, stream in streams:
            if endpoint_id in self._queues:
                self._queues[endpoint_id].add(stream)

    async def _arrange(self, endpoints: list[Endpoint], means: Means) -> None:
        gone = self._queues.keys() - {one.id for one in endpoints}
        for endpoint_id in gone:
            del self._queues[endpoint_id]
            await cancel_all((self._tasks.pop(endpoint_id),))
        for one in endpoints:
            queue = self._queues.get(one.id)
            if queue is None:
                queue = self._queues[one.id] = EndpointQueue(one, self._senders.make(), means)
                self._tasks[one.id] = asyncio.get_running_loop().create_task(queue.run())
                self._seen = 0  # what waited while it was disabled
            elif queue.endpoint.version != one.version:
                queue.renew(one)
                self._seen = 0  # what is replayed has old ids

    def _gone(self, connection: Connection, endpoint: Endpoint) -> None:
        stored = find_endpoint(connection, endpoint.id, lock=True)
        update_endpoint(connection, replace(stored, state=EndpointState.DISABLED, reason=GONE))
        self._audit.append(connection, SERVICE, "webhook.disable", endpoint.id, {"reason": GONE})
