"""Carries out jobs that wait in the background, under a lease: each when the chain takes it, until it is done."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from strongroom.bittensor.access import SUBMIT
from strongroom.bittensor.jobs import Job, JobExists, close_job, document, waiting_jobs
from strongroom.bittensor.protocol.failures import Failure
from strongroom.core.access import Principal
from strongroom.core.backoff import Backoff
from strongroom.core.clock import Clock, Entropy, sleep_unless
from strongroom.core.database import Database
from strongroom.core.errors import NotFound, StrongroomError, Unauthenticated

log = structlog.get_logger(__name__)

POLL_S = 2.0
NOT_YET_S = 4.0
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 12.0
AT_ONCE = 64

CarryOut = Callable[[Principal, Job], Awaitable[bool]]
"""Returns whether something was signed; False: it is not time yet, or the job is closed."""


class JobRunner:
    """`kinds` says what carries out which kind of job. It is asked again and again until the job is not waiting."""

    def __init__(
        self, kinds: Mapping[str, CarryOut], *, database: Database, clock: Clock, entropy: Entropy
    ) -> None:
        self._kinds = kinds
        self._database = database
        self._clock = clock
        self._entropy = entropy
        self._news = asyncio.Event()
        self._pauses: dict[str, tuple[Backoff, float]] = {}
        self._places = asyncio.Semaphore(AT_ONCE)

    def wake(self) -> None:
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                waiting = await self._database.read(waiting_jobs)
            except StrongroomError as error:
                log.warning("jobs not looked up", why=error.message)
                waiting = []
            now_s = self._clock.monotonic_s()
            due = [job for job in waiting if self._pauses.get(job.id, (None, 0.0))[1] <= now_s]
            await asyncio.gather(*(self._try(job) for job in due))
            ids = {job.id for job in waiting}
            self._pauses = {one: pause for one, pause in self._pauses.items() if one in ids}
            await sleep_unless(self._news, self._clock, POLL_S)

    async def _try(self, job: Job) -> None:
        async with self._places:
            is_early = False
            try:
                is_early = not await self._carry_out(job)
            except StrongroomError as error:
                log.info("a job waits", job=job.id, kind=job.kind, why=error.message)
            except Exception:
                log.exception("a job failed", job=job.id, kind=job.kind)
        backoff, _ = self._pauses.get(job.id, (self._backoff(), 0.0))
        pause_s = NOT_YET_S if is_early else backoff.next_delay_s()
        self._pauses[job.id] = (backoff, self._clock.monotonic_s() + pause_s)

    async def _carry_out(self, job: Job) -> bool:
        try:
            return await self._kinds[job.kind](principal_of(job), job)
        except JobExists:
            log.info("a job was carried out elsewhere", job=job.id, kind=job.kind)
        except (NotFound, Unauthenticated) as error:  # the key, or the right to use it, was taken away
            name = "KeyRemoved" if isinstance(error, NotFound) else "TokenRevoked"
            failure = Failure(type="Service", name=name, docs=error.message)
            closed = document(job, success=False, failure=failure)
            await self._database.write(lambda connection: close_job(connection, job.id, closed))
        return False

    def _backoff(self) -> Backoff:
        return Backoff(self._clock, self._entropy, first_s=FIRST_PAUSE_S, cap_s=LONGEST_PAUSE_S)


def principal_of(job: Job) -> Principal:
    """Who asked, with the rights of then."""
    rights = job.document.get("principal")
    if rights is None:
        return Principal(name=job.principal, scopes=frozenset({SUBMIT}))
    return Principal(
        name=job.principal,
        scopes=frozenset(rights["scopes"]),
        limits=rights["limits"],
        token=rights.get("token"),
    )
