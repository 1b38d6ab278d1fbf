"""The time that a peer has for the next part of its request."""

import asyncio
from collections.abc import Iterator

import pytest

from strongroom.core.http.connections.due import Due, DueTimer
from strongroom.core.http.connections.limits import ConnectionLimits

LIMITS = ConnectionLimits(head_s=10.0, body_s=20.0, idle_s=30.0)


class ManualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time the test sets."""

    now_s = 0.0

    def time(self) -> float:
        return self.now_s

    def passes(self, seconds: float) -> None:
        self.now_s += seconds
        self.run_until_complete(asyncio.sleep(0))


@pytest.fixture
def loop() -> Iterator[ManualLoop]:
    loop = ManualLoop()
    yield loop
    loop.close()


@pytest.fixture
def overdue() -> list[Due]:
    return []


@pytest.fixture
def timer(loop: ManualLoop, overdue: list[Due]) -> DueTimer:
    return DueTimer(LIMITS, loop, overdue.append)


@pytest.mark.parametrize(("due", "limit_s"), [(Due.HEAD, 10.0), (Due.BODY, 20.0), (Due.REQUEST, 30.0)])
def test_a_slow_sender_gains_nothing_with_every_byte(
    loop: ManualLoop, timer: DueTimer, overdue: list[Due], due: Due, limit_s: float
) -> None:
    for _ in range(4):
        timer.watch(due, 1)
        assert overdue == []
        loop.passes(limit_s / 4)
    loop.passes(0.1)
    assert overdue == [due]


def test_the_next_request_has_its_own_time(loop: ManualLoop, timer: DueTimer, overdue: list[Due]) -> None:
    timer.watch(Due.REQUEST, 1)
    loop.passes(29.0)
    timer.watch(Due.REQUEST, 2)
    loop.passes(29.0)
    assert overdue == []
    loop.passes(2.0)
    assert overdue == [Due.REQUEST]


def test_a_body_s_time_stands_still_while_nothing_is_read(
    loop: ManualLoop, timer: DueTimer, overdue: list[Due]
) -> None:
    timer.new_body()
    timer.watch(Due.BODY, 1)
    loop.passes(15.0)
    timer.watch(Due.NOTHING, 1)
    loop.passes(1_000.0)
    timer.watch(Due.BODY, 1)
    loop.passes(4.0)
    assert overdue == []
    loop.passes(2.0)
    assert overdue == [Due.BODY]


def test_the_next_body_has_all_its_time(loop: ManualLoop, timer: DueTimer, overdue: list[Due]) -> None:
    for request in (1, 2):
        timer.new_body()
        timer.watch(Due.BODY, request)
        loop.passes(19.0)
    assert overdue == []
    timer.stop()
    loop.passes(1_000.0)
    assert overdue == []
