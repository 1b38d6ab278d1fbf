"""A database that is away at the start is waited for; a mistake is not."""

import asyncio
from collections.abc import Callable

import pytest

from strongroom.core.errors import Unavailable
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.telemetry import Metrics, Status
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.storage.errors import CommitUnknown, ConnectionSevered, DatabaseUnusable, Undone
from strongroom.core.storage.patience import may_pass, patiently
from support.clock import ManualClock, SeededEntropy
from support.running import running


def because(cause: Exception) -> Unavailable:
    """As a migration says it."""
    error = Unavailable("The database mysql://u:p@db.internal/atto cannot be used: away")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (ConnectionSevered(), True),
        (Undone(), True),
        (CommitUnknown(), True),
        (Unavailable("Another process has been migrating the database for more than 60 s"), True),
        (because(ConnectionSevered()), True),
        (DatabaseUnusable(1021, "disk full"), True),
        (DatabaseUnusable(13, "SQLITE_FULL"), True),
        (DatabaseUnusable(10 | 4 << 8, "SQLITE_IOERR_FSYNC"), True),
        (DatabaseUnusable(1045, "access denied"), False),
        (DatabaseUnusable(1049, "unknown database"), False),
        (DatabaseUnusable(14, "SQLITE_CANTOPEN"), False),
        (because(DatabaseUnusable(1044, "no right")), False),
    ],
    ids=str,
)
def test_the_databases_error_decides_whether_waiting_helps(error: Exception, passes: bool) -> None:
    assert may_pass(error) is passes


class Door:
    """A database that opens when the test says so."""

    def __init__(self) -> None:
        self.error: Exception | None = because(ConnectionSevered())
        self.asked = 0

    async def __call__(self) -> None:
        self.asked += 1
        if self.error is not None:
            raise self.error


async def test_it_waits_with_health_down_until_the_database_is_there() -> None:
    clock, door = ManualClock(), Door()
    health = WorkHealth("database", clock, Metrics("test"), down_after=1, initially=Status.DOWN)
    assert health.check().status is Status.DOWN
    async with running(patiently(door, health, Backoff(clock, SeededEntropy(), cap_s=5.0))) as waiting:
        for _ in range(9):
            (pause_s, *_rest) = await clock.sleepers()
            assert pause_s <= 5.0
            assert health.check().status is Status.DOWN
            assert "internal" not in (health.check().detail or "")
            clock.advance(pause_s)
        door.error = None
        await asyncio.wait([waiting])
    assert waiting.done()
    assert health.check().status is Status.DOWN  # until somebody says that all is open


@pytest.mark.parametrize("error", [lambda: DatabaseUnusable(1045, "denied"), lambda: ValueError("a defect")])
async def test_what_needs_a_person_ends_it_at_once(error: Callable[[], Exception]) -> None:
    clock, door = ManualClock(), Door()
    door.error = error()
    health = WorkHealth("database", clock, Metrics("test"))
    with pytest.raises(type(door.error)):
        await patiently(door, health, Backoff(clock, SeededEntropy()))
    assert door.asked == 1
