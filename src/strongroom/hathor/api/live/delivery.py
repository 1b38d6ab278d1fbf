"""Carries the outbox's messages to the connections of this process, after their commits and in their order.

Each process that serves wallets reads the outbox for itself. The bus tells it when to look; without word it looks at
intervals, so messages arrive whoever wrote them and whether Redis lives or not.
"""

import asyncio
from contextlib import suppress

from strongroom.core.clock import Clock
from strongroom.core.http.connections.websockets import text_frame
from strongroom.core.messaging.bus import Bus
from strongroom.core.messaging.outbox_reader import OutboxReader, OutboxRecord
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.hathor.amounts import AmountForm
from strongroom.hathor.api.live.subscriptions import SocketMetrics, Subscriptions
from strongroom.hathor.notifications.messages import DESTINATION

ALONE_S = 0.5
"""Between looks when no other process can tell us."""
SHARED_S = 5.0
AT_ONCE = 200
"""Connections told before others get their turn on the event loop."""


class Realtime:
    """Run one in every process that has connections."""

    def __init__(
        self,
        *,
        outbox_reader: OutboxReader,
        bus: Bus,
        clock: Clock,
        subscriptions: Subscriptions,
        metrics: SocketMetrics,
        amounts: AmountForm = AmountForm.NUMBER,
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._subscriptions = subscriptions
        self._metrics = metrics
        self._amounts = amounts
        self._outbox_reader = outbox_reader
        self._news = asyncio.Event()
        bus.subscribe(DESTINATION, self._news.set)

    async def run(self, health: WorkHealth) -> None:
        """Delivers until cancelled."""
        while True:
            self._news.clear()
            try:
                is_more = await self._deliver()
            except Exception as error:  # noqa: BLE001 - mostly the database is away; whatever it is, later messages come
                health.failed(error)
                is_more = False
            else:
                health.succeeded()
            if not is_more:
                await self._wait()

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(SHARED_S if self._bus.is_shared else ALONE_S):
                await self._news.wait()

    async def _deliver(self) -> bool:
        messages, is_more = await self._outbox_reader.read(self._subscriptions)
        failures: list[Exception] = []
        for message in messages:
            try:
                await self._tell(message)
            except Exception as error:  # noqa: BLE001 - what is wrong with one message keeps no other from its wallet
                failures.append(error)
        if failures:
            raise ExceptionGroup(f"{len(failures)} realtime messages could not be told", failures)
        return is_more

    async def _tell(self, message: OutboxRecord) -> None:
        payload = message.payload.encode()
        frame = text_frame(
            payload if self._amounts is AmountForm.NUMBER else self._amounts.rewritten(payload)
        )
        for number, connection in enumerate(self._subscriptions.of(message.stream), 1):
            self._subscriptions.tell(connection, frame)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
        self._metrics.delay.observe(max(0, self._clock.now_ms() - message.created_at_ms) / 1000)
