"""Carries out the jobs of the background, under a lease: tries each until the chain takes it, or never will."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection

from strongroom.bittensor.authorization.limits import SUBMIT
from strongroom.bittensor.jobs.job import REFUSAL, Job, JobExists
from strongroom.bittensor.jobs.parked import forget_refusal, note_approval, note_refusal
from strongroom.bittensor.jobs.store import close_waiting, waiting_jobs
from strongroom.bittensor.jobs.tags import ALTERED_CODE
from strongroom.bittensor.protocol.failures import Failure
from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import (
    ApprovalNeeded,
    Conflict,
    Forbidden,
    NotFound,
    StrongroomError,
    Unauthenticated,
)
from strongroom.core.guard.approvals.spending import EXPIRED_CODE, FAILED_CODE, REFUSED_CODE, SPENT_CODE
from strongroom.core.guard.approvals.withdrawal import Withdrawals
from strongroom.core.guard.guard import FROZEN_CODE
from strongroom.core.guard.windows import LIMIT_CODE
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.runtime.telemetry import ComponentHealth, Status
from strongroom.core.security.access import Principal, principal_with
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)

POLL_S = 2.0
NOT_YET_S = 4.0
FIRST_PAUSE_S = 2.0
MAX_PAUSE_S = 12.0
AT_ONCE = 64

DECIDED: Final = frozenset({REFUSED_CODE, EXPIRED_CODE, FAILED_CODE, SPENT_CODE, ALTERED_CODE})
"""What a job needs is decided against, or used up, or another program wrote the job."""
PASSING_CODES: Final = frozenset({FROZEN_CODE, LIMIT_CODE})
"""Refusals that time may mend. Others end a job, so that its client hears of it."""

CarryOut = Callable[[Principal, Job], Awaitable[bool]]
"""Returns whether something was signed; False: it is not time yet, or the job is closed."""


class JobRunner:
    """`kinds` maps each kind of job to the function that carries it out. The runner calls it until the job waits no more."""

    def __init__(
        self,
        kinds: Mapping[str, CarryOut],
        *,
        database: Database,
        withdrawals: Withdrawals,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._kinds = kinds
        self._database = database
        self._withdrawals = withdrawals
        self._clock = clock
        self._entropy = entropy
        self.news = asyncio.Event()
        self._failed: dict[str, str] = {}
        """By job: why its last try failed."""
        self._pauses: dict[str, tuple[Backoff, float]] = {}
        self._places = asyncio.Semaphore(AT_ONCE)

    def wake(self) -> None:
        self.news.set()

    async def look(self) -> None:
        """Tries every job that is due. The event `news` tells that there may be more."""
        waiting = await self._database.read(waiting_jobs)
        now_s = self._clock.monotonic_s()
        ids = {job.id for job in waiting}
        self._pauses = {one: pause for one, pause in self._pauses.items() if one in ids}
        self._failed = {one: why for one, why in self._failed.items() if one in ids}
        due = [job for job in waiting if self._pauses.get(job.id, (None, 0.0))[1] <= now_s]
        await asyncio.gather(*(self._try(job) for job in due))

    def rest(self) -> None:
        """Forgets the failures, because another process carries out the jobs now."""
        self._failed.clear()

    def check(self) -> ComponentHealth:
        """DEGRADED while the last try of some jobs has failed."""
        if not self._failed:
            return ComponentHealth(status=Status.UP)
        detail = f"{len(self._failed)} jobs are tried again: {next(reversed(self._failed.values()))}"
        return ComponentHealth(status=Status.DEGRADED, detail=detail)

    async def _try(self, job: Job) -> None:
        async with self._places:
            is_early = False
            try:
                is_early = not await self._carry_out(job)
            except ApprovalNeeded as error:
                self._failed.pop(job.id, None)
                is_early = True
                log.info("a job waits for approvals", job=job.id, kind=job.kind, approval=error.approval)
                await self._note(job, error)
            except Forbidden as error:
                await self._refused(job, error)
            except StrongroomError as error:
                self._failed[job.id] = fault_text(error)
                log.info("a job waits", job=job.id, kind=job.kind, why=error.message)
            except Exception as error:
                self._failed[job.id] = fault_text(error)
                log.exception("a job failed", job=job.id, kind=job.kind)
            else:
                self._failed.pop(job.id, None)
                if REFUSAL in job.document:
                    await self._write(job, partial(forget_refusal, job=job))
        backoff, _ = self._pauses.get(job.id, (self._backoff(), 0.0))
        pause_s = NOT_YET_S if is_early else backoff.next_delay_s()
        self._pauses[job.id] = (backoff, self._clock.monotonic_s() + pause_s)

    async def _carry_out(self, job: Job) -> bool:
        try:
            return await self._kinds[job.kind](principal_of(job), job)
        except JobExists:
            log.info("a job was carried out elsewhere", job=job.id, kind=job.kind)
        except (NotFound, Unauthenticated) as error:  # the key, or the right to use it, was taken away
            await self._close(job, "KeyRemoved" if isinstance(error, NotFound) else "TokenRevoked", error)
        except ApprovalNeeded:
            raise
        except (Conflict, Forbidden) as error:
            if not _ends(job, error):
                raise
            log.info("a job is refused", job=job.id, kind=job.kind, code=error.instance_code)
            await self._close(job, name_of(error), error)
        return False

    async def _refused(self, job: Job, error: Forbidden) -> None:
        """A reveal that is refused is a trouble: the chain does not wait for it."""
        self._failed.pop(job.id, None)
        if job.subject is None:
            self._failed[job.id] = fault_text(error)
        log.info("a job is refused and waits", job=job.id, kind=job.kind, code=error.instance_code)
        await self._write(job, partial(note_refusal, job=job, error=error))

    async def _close(self, job: Job, name: str, error: StrongroomError) -> None:
        failure = Failure(type="Service", name=name, docs=error.message)
        await self._database.write(
            partial(close_waiting, job=job, failure=failure, withdrawals=self._withdrawals)
        )

    async def _note(self, job: Job, error: ApprovalNeeded) -> None:
        if error.approval is not None:
            await self._write(job, partial(note_approval, job=job, approval=error.approval))

    async def _write(self, job: Job, work: Callable[[Connection], None]) -> None:
        try:
            await self._database.write(work)
        except StrongroomError as fault:
            self._failed[job.id] = fault_text(fault)

    def _backoff(self) -> Backoff:
        return Backoff(self._clock, self._entropy, first_s=FIRST_PAUSE_S, cap_s=MAX_PAUSE_S)


def _ends(job: Job, error: Conflict | Forbidden) -> bool:
    """Whether the job ends with it. A reveal goes on as long as the chain takes one: without it the weights are lost."""
    if error.instance_code in DECIDED:
        return True
    is_lasting = isinstance(error, Forbidden) and error.instance_code not in PASSING_CODES
    return is_lasting and job.subject is not None


def name_of(error: StrongroomError) -> str:
    """The error's code as results write names: `rule_denied` is RuleDenied."""
    return "".join(word.capitalize() for word in error.instance_code.split("_"))


def principal_of(job: Job) -> Principal:
    """Returns the principal that asked for the job, with the rights that it had then, and from where it asked."""
    rights = job.document.get("principal")
    if rights is None:
        return Principal(name=job.principal, scopes=frozenset({SUBMIT}))
    return principal_with(job.principal, rights)
