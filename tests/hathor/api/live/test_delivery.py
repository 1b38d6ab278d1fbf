"""Carrying messages goes on, whatever fails in between."""

import asyncio
from collections.abc import Container
from pathlib import Path

import pytest

from strongroom.core.clock import SystemClock
from strongroom.core.errors import Unavailable
from strongroom.core.messaging.bus import Bus
from strongroom.core.messaging.outbox_reader import OutboxReader, OutboxRecord
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.hathor.api.live.delivery import Realtime
from strongroom.hathor.api.live.subscriptions import SocketMetrics, Subscriptions
from strongroom.hathor.notifications.messages import DESTINATION
from support.waiting import eventually

pytestmark = pytest.mark.anyio


class BrokenReader(OutboxReader):
    """Fails at every other reading, each time with another error."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, DESTINATION)
        self._errors: list[Exception] = [Unavailable("away"), RuntimeError("a defect")]
        self._turn = 0

    async def read(self, wanted: Container[str]) -> tuple[list[OutboxRecord], bool]:
        del wanted
        self._turn += 1
        if self._turn % 2 and self._errors:
            raise self._errors.pop(0)
        return [OutboxRecord(stream="wallet", payload=f"{self._turn}", created_at_ms=0)], False


class Ear:
    """A connection that keeps what it is told."""

    is_open = True
    unread_bytes = 0

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def put(self, frame: bytes) -> None:
        self.frames.append(frame)

    def end(self, code: int, reason: str) -> None:
        raise AssertionError((code, reason))


async def test_it_goes_on_after_any_failure(tmp_path: Path) -> None:
    database = Database(sqlite_url(str(tmp_path / "never-read.sqlite3")))
    metrics, bus, ear = SocketMetrics(Metrics("test")), Bus(), Ear()
    subscriptions = Subscriptions(metrics)
    subscriptions.add("wallet", ear)
    realtime = Realtime(
        outbox_reader=BrokenReader(database),
        bus=bus,
        clock=SystemClock(),
        subscriptions=subscriptions,
        metrics=metrics,
    )
    health = WorkHealth("realtime", SystemClock(), Metrics("test"))
    task = asyncio.ensure_future(realtime.run(health))
    await eventually(lambda: len(ear.frames) == 1)
    bus.publish(DESTINATION)
    await eventually(lambda: len(ear.frames) > 1)
    assert health.last_failure_ms is not None
    assert health.last_success_ms is not None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await database.close()
    assert [frame[2:] for frame in ear.frames[:2]] == [b"2", b"4"]
