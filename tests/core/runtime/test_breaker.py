"""When the breaker lets calls through."""

from contextlib import suppress

import pytest

from strongroom.core.errors import Unavailable
from strongroom.core.runtime.breaker import Breaker, BreakerOpen, BreakerState
from support.clock import ManualClock


def _fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        with suppress(Unavailable), breaker.call():
            raise Unavailable("away")


def _refused(breaker: Breaker) -> bool:
    try:
        with breaker.call():
            return False
    except BreakerOpen:
        return True


@pytest.fixture
def breaker(clock: ManualClock) -> Breaker:
    return Breaker(clock, "It", failures=3, first_s=1.0, cap_s=3.0)


def test_failures_in_a_row_open_it(breaker: Breaker) -> None:
    _fail(breaker, 2)
    assert not _refused(breaker)  # a success between them
    _fail(breaker, 2)
    with suppress(KeyError), breaker.call():
        raise KeyError  # the service has answered, whatever it was
    _fail(breaker, 2)
    assert not breaker.retry_after_s
    _fail(breaker)
    assert breaker.state is BreakerState.OPEN
    assert _refused(breaker)


def test_one_probe_at_a_time_decides(breaker: Breaker, clock: ManualClock) -> None:
    _fail(breaker, 3)
    clock.advance(1)
    assert breaker.is_due
    with suppress(Unavailable), breaker.call():
        assert breaker.state is BreakerState.HALF_OPEN
        assert _refused(breaker)
        raise Unavailable("away")
    for pause_s in (2.0, 3.0, 3.0):
        assert breaker.retry_after_s == pause_s
        clock.advance(pause_s - 0.1)
        assert _refused(breaker)
        clock.advance(0.1)
        _fail(breaker)
    clock.advance(3)
    with breaker.call():
        pass
    assert breaker.state is BreakerState.CLOSED
    _fail(breaker, 2)
    assert not _refused(breaker)


def test_a_probe_that_was_cancelled_decides_nothing(breaker: Breaker, clock: ManualClock) -> None:
    _fail(breaker, 3)
    clock.advance(1)
    with suppress(GeneratorExit), breaker.call():
        raise GeneratorExit
    assert breaker.is_due


def test_a_late_answer_closes_it(breaker: Breaker) -> None:
    with breaker.call():  # began before
        _fail(breaker, 3)
        assert _refused(breaker)
    assert breaker.state is BreakerState.CLOSED
