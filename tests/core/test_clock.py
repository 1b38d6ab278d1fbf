"""Time, randomness, and the delays made of both."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.core.clock import SystemClock, SystemEntropy, iso_instant
from strongroom.core.runtime.backoff import Backoff
from support.clock import ManualClock, SeededEntropy
from support.running import running


@pytest.mark.parametrize(
    ("timestamp_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_251_420_123, "2026-11-21T08:57:00.123Z"),
        (951_782_400_999, "2000-02-29T00:00:00.999Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_an_instant_is_shown_to_the_millisecond(timestamp_ms: int, text: str) -> None:
    assert iso_instant(timestamp_ms) == text


@given(st.integers(0, 253_402_300_799_999))
def test_no_millisecond_is_lost(timestamp_ms: int) -> None:
    moment = datetime.fromisoformat(iso_instant(timestamp_ms))
    assert int(moment.replace(microsecond=0).timestamp()) * 1000 + moment.microsecond // 1000 == timestamp_ms


async def test_the_system_s_clock_tells_the_time_and_waits() -> None:
    clock = SystemClock()
    assert abs(clock.now_ms() - datetime.now(UTC).timestamp() * 1000) < 1000
    before_s = time.monotonic()
    await clock.sleep(0.02)
    assert 0.019 < clock.monotonic_s() - before_s < 5


def test_the_system_s_entropy_never_repeats() -> None:
    entropy = SystemEntropy()
    tokens = {entropy.token(16) for _ in range(100)}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {16}
    assert all(2 <= entropy.uniform(2, 3) <= 3 for _ in range(100))


def test_delays_double_up_to_the_cap_with_jitter() -> None:
    backoff = Backoff(ManualClock(), SeededEntropy(), first_s=0.5, cap_s=4)
    delays = [backoff.next_delay_s() for _ in range(50)]
    for delay, ceiling in zip(delays, [0.5, 1, 2] + [4.0] * 47, strict=True):
        assert ceiling / 2 <= delay <= ceiling
    assert len(set(delays)) == 50
    assert backoff.attempts == 50


def test_a_success_starts_the_delays_afresh() -> None:
    backoff = Backoff(ManualClock(), SeededEntropy(), first_s=0.5, cap_s=4)
    for _ in range(5):
        backoff.next_delay_s()
    backoff.reset()
    assert backoff.attempts == 0
    assert backoff.next_delay_s() <= 0.5


def test_attempts_without_end_keep_to_the_cap() -> None:
    backoff = Backoff(ManualClock(), SeededEntropy(), first_s=0.5, cap_s=4)
    backoff.attempts = 10_000
    assert 2 <= backoff.next_delay_s() <= 4


async def test_waiting_takes_the_delay() -> None:
    clock = ManualClock()
    async with running(Backoff(clock, SeededEntropy(), first_s=0.5).wait()) as waiting:
        [delay] = await clock.sleepers(1)
        assert 0.25 <= delay <= 0.5
        clock.advance(delay)
        await waiting
