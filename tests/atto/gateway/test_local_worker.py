import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import pytest

from atto.gateway.engines import ENGINES, WatchedEngine
from strongroom.atto.gateway import WorkUnavailable
from strongroom.atto.gateway.local_worker import LocalWorker
from strongroom.atto.gateway.work_engines import Engine, HashlibEngine, StopFlag
from strongroom.atto.protocol import Network, verify_work

pytestmark = pytest.mark.anyio

NOW_MS = 1_782_864_000_000
TARGETS = [bytes([number]) * 32 for number in range(4)]
PATIENCE_S = 60

MakeWorker = Callable[..., LocalWorker]


class BrokenEngine:
    name = "broken"
    is_parallel = False

    def search(self, _target: bytes, _threshold: int, start: int, _stop: StopFlag) -> int | None:
        return start


@pytest.fixture
async def make_worker() -> AsyncIterator[MakeWorker]:
    workers: list[LocalWorker] = []

    def make(threads: int, **options: object) -> LocalWorker:
        workers.append(LocalWorker(threads, **options))  # type: ignore[arg-type]  # passed on as they are
        return workers[-1]

    yield make
    for worker in workers:
        await worker.close()


async def happened(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, PATIENCE_S)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("threads", [1, 3])
async def test_finds_valid_work(engine: Engine, threads: int, make_worker: MakeWorker) -> None:
    worker = make_worker(threads, engine=engine)
    assert worker.engine == engine.name
    works = await asyncio.gather(*(worker.work(Network.LOCAL, NOW_MS, target) for target in TARGETS))
    for work, target in zip(works, TARGETS, strict=True):
        verify_work(Network.LOCAL, NOW_MS, target, work)


@pytest.mark.parametrize("engine", ENGINES)
async def test_cancelling_ends_the_search_and_frees_the_worker(
    engine: Engine, make_worker: MakeWorker
) -> None:
    watched = WatchedEngine(engine)
    worker = make_worker(1, engine=watched)
    task = asyncio.create_task(worker.work(Network.LIVE, NOW_MS, TARGETS[0]))
    await happened(watched.started)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await happened(watched.ended)
    verify_work(Network.LOCAL, NOW_MS, TARGETS[1], await worker.work(Network.LOCAL, NOW_MS, TARGETS[1]))


async def test_cancelling_one_that_waits_leaves_the_others(make_worker: MakeWorker) -> None:
    watched = WatchedEngine(HashlibEngine())
    worker = make_worker(1, engine=watched)
    running, waiting, last = (
        asyncio.create_task(worker.work(network, NOW_MS, target))
        for network, target in zip((Network.LIVE, Network.LIVE, Network.LOCAL), TARGETS, strict=False)
    )
    await happened(watched.started)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    running.cancel()
    verify_work(Network.LOCAL, NOW_MS, TARGETS[2], await last)
    assert watched.targets == [TARGETS[0], TARGETS[2]]


async def test_requests_are_served_in_their_order(make_worker: MakeWorker) -> None:
    watched = WatchedEngine(HashlibEngine())
    worker = make_worker(1, engine=watched)
    await asyncio.gather(*(worker.work(Network.LOCAL, NOW_MS, target) for target in TARGETS))
    assert watched.targets == TARGETS


async def test_full_queue_refuses_until_a_request_has_ended(make_worker: MakeWorker) -> None:
    watched = WatchedEngine(HashlibEngine())
    worker = make_worker(1, engine=watched, queue_size=1)
    task = asyncio.create_task(worker.work(Network.LIVE, NOW_MS, TARGETS[0]))
    await happened(watched.started)
    with pytest.raises(WorkUnavailable, match="Too many"):
        await worker.work(Network.LOCAL, NOW_MS, TARGETS[1])
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await worker.work(Network.LOCAL, NOW_MS, TARGETS[1])


async def test_threads_start_apart_from_the_starting_nonce(make_worker: MakeWorker) -> None:
    class ParallelEngine(HashlibEngine):
        is_parallel = True

    watched = WatchedEngine(ParallelEngine())
    worker = make_worker(2, engine=watched, starting_nonce=lambda: 2**63 + 5)
    await worker.work(Network.LOCAL, NOW_MS, TARGETS[0])
    assert sorted(watched.starts) == [4, 2**63 + 5]


async def test_wrong_answer_of_an_engine_is_not_passed_on(make_worker: MakeWorker) -> None:
    worker = make_worker(1, engine=BrokenEngine())
    with pytest.raises(WorkUnavailable, match="Work is invalid"):
        await worker.work(Network.LIVE, NOW_MS, TARGETS[0])


async def test_year_without_work_is_unavailable(make_worker: MakeWorker) -> None:
    with pytest.raises(WorkUnavailable, match="before 2024"):
        await make_worker(1).work(Network.LOCAL, 0, TARGETS[0])
