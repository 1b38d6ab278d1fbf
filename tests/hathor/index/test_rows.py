"""When an output is locked: until its time is past and its height has come, and never once it is spent."""

import pytest

from strongroom.hathor.index.rows import Heights, OutputRow, OutputState

NOW_S = 1_000
HEIGHTS = Heights(best=50, highest=60)


def locked(output: OutputRow) -> bool:
    output.set_lock(HEIGHTS, NOW_S)
    return output.locked


def output(
    timelock_s: int | None = None, heightlock: int | None = None, spent_by: str | None = None
) -> OutputRow:
    return OutputRow("01" * 32, 0, "00", "alice", 7, 0, timelock_s, heightlock, spent_by=spent_by)


@pytest.mark.parametrize(
    ("timelock_s", "heightlock", "expected"),
    [
        (None, None, False),
        (NOW_S - 1, None, False),
        (NOW_S, None, True),  # the node wants a spender to be newer than the timelock
        (None, HEIGHTS.best, False),
        (None, HEIGHTS.best + 1, True),  # the chain was higher once, and is not any more
        (None, HEIGHTS.highest + 1, True),
        (NOW_S - 1, HEIGHTS.best + 1, True),
        (NOW_S, HEIGHTS.best, True),
    ],
)
def test_time_and_height(timelock_s: int | None, heightlock: int | None, expected: bool) -> None:
    assert locked(output(timelock_s, heightlock)) is expected


def test_what_is_spent_is_not_locked() -> None:
    assert not locked(output(NOW_S + 1, HEIGHTS.highest + 1, spent_by="02" * 32))


def test_an_output_spent_before_its_height_stays_open_when_the_spender_is_voided() -> None:
    early = output(heightlock=HEIGHTS.highest + 1)
    early.spend("02" * 32)
    early.spent_by = None
    assert not locked(early)
    stored = output(heightlock=HEIGHTS.highest + 1)
    stored.stored = OutputState(locked=False, spent_by="02" * 32, voided=False)
    assert not locked(stored)


def test_a_height_that_a_reorganisation_took_back_locks_again() -> None:
    stored = output(heightlock=HEIGHTS.highest)
    stored.stored = OutputState(locked=False, spent_by=None, voided=False)
    assert locked(stored)
