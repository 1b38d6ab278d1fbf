"""Tasks that outlive what started them."""

import asyncio
import gc

import pytest
from structlog.testing import capture_logs

from strongroom.core.errors import Conflict, Forbidden, StrongroomError, Unavailable
from strongroom.core.runtime.background import Background, cancel_all


async def test_a_task_is_kept_until_its_end() -> None:
    background = Background()
    go = asyncio.Event()

    async def work() -> str:
        await go.wait()
        return "done"

    task = background.start(work())
    gc.collect()
    go.set()
    assert await task == "done"
    await background.close()


async def test_what_fails_is_logged_and_ends_nothing_else() -> None:
    background = Background()

    async def fail() -> None:
        raise ValueError("no")

    async def work() -> str:
        return "done"

    with capture_logs() as logs:
        failing, working = background.start(fail()), background.start(work())
        assert await working == "done"
        await asyncio.wait([failing])
        await background.close()
    assert logs == [{"event": "background task failed", "error": "ValueError: no", "log_level": "error"}]


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (Forbidden("no", code="rule_denied"), "info"),
        (Conflict("done", code="job_exists"), "info"),
        (Unavailable("away"), "warning"),
    ],
)
async def test_a_refusal_is_no_defect(error: StrongroomError, level: str) -> None:
    background = Background()

    async def refuse() -> None:
        raise error

    with capture_logs() as logs:
        await asyncio.wait([background.start(refuse())])
    told = {"code": error.instance_code, "why": error.message, "log_level": level}
    assert logs == [{"event": "a background task ended"} | told]


async def test_closing_cancels_and_waits_for_the_end() -> None:
    background = Background()
    started, tidied = asyncio.Event(), False

    async def work() -> None:
        nonlocal tidied
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            tidied = True

    with capture_logs() as logs:
        task = background.start(work())
        await started.wait()
        await background.close()
    assert task.cancelled()
    assert tidied
    assert logs == []


async def test_all_are_cancelled_and_their_ends_awaited_however_they_end() -> None:
    started = asyncio.Event()

    async def work() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            raise ValueError("at the end")

    async def fail() -> None:
        raise ValueError("before")

    failed, stopping = asyncio.ensure_future(fail()), asyncio.ensure_future(work())
    await started.wait()
    await asyncio.wait([failed])
    await cancel_all({failed, stopping})
    assert [str(one.exception()) for one in (failed, stopping)] == ["before", "at the end"]
