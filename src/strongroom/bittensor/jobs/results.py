"""Answers requests with the results of their jobs, as soon as what the request waits for is reached."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection

from strongroom.bittensor.extrinsics.extrinsic import Extrinsic
from strongroom.bittensor.jobs.job import REACHED, Job, JobExists, JobResult, WaitFor, result_of
from strongroom.bittensor.jobs.store import answer, find_job, require_new
from strongroom.bittensor.jobs.waiting import OutcomeWaiter
from strongroom.core.errors import OutcomeUnknown, Unavailable
from strongroom.core.security.access import Principal
from strongroom.core.storage.database import Database

WAIT_S: Final = {WaitFor.POOL: 20.0, WaitFor.BLOCK: 60.0, WaitFor.FINAL: 80.0}


class JobResults:
    def __init__(self, database: Database, outcomes: OutcomeWaiter) -> None:
        self._database = database
        self._outcomes = outcomes

    async def of_request(
        self, principal: Principal, key: str | None, request: Awaitable[JobResult]
    ) -> JobResult:
        """Answers a request that may repeat an earlier one with the same Idempotency-Key.

        When this request cannot sign, it must not answer "nothing was submitted" if the earlier one may have signed.

        Raises:
            OutcomeUnknown: instead of Unavailable, if the earlier request may have signed.
        """
        try:
            return await request
        except Unavailable as error:
            if await self._may_be_submitted(principal, key):
                raise OutcomeUnknown(
                    f"{error.message}; an earlier request with this Idempotency-Key may have been submitted"
                ) from error
            raise

    async def find(self, principal: Principal, id_or_key: str) -> JobResult | None:
        """Finds a job of the principal."""

        def work(connection: Connection) -> JobResult | None:
            job = find_job(connection, principal.name, id_or_key)
            return None if job is None else answer(connection, job)

        return await self._database.read(work)

    async def _may_be_submitted(self, principal: Principal, key: str | None) -> bool:
        """Tells whether the chain may have, or may get, an extrinsic that was signed under this key."""
        if key is None:
            return False
        try:
            found = await self.find(principal, key)
        except Unavailable:
            return True
        if found is None:
            return False
        return found.job.in_background or (found.extrinsic is not None and not found.extrinsic.state.is_dead)

    async def of_new_job(
        self, job: Job, begin: Callable[[], Awaitable[Extrinsic | JobResult]], *, waits: bool = True
    ) -> JobResult:
        """Begins a job and returns its result. `begin` signs for it, or returns why nothing is signed.

        `waits` False: it returns as soon as something is signed. If the job exists, or the same is under way, the result is that job's, and nothing is signed.

        Raises:
            OutcomeUnknown: as `of_extrinsic`; and whatever `begin` raises.
        """
        try:
            await self._database.read(lambda connection: require_new(connection, job))
            begun = await begin()
        except JobExists as found:
            if not waits:
                return JobResult(job=found.job, extrinsic=None, result=None)
            return await self.of_job(found.job, job.wait_for)
        if isinstance(begun, JobResult):
            return begun
        if not waits:
            return JobResult(job=replace(job, extrinsic=begun.hash), extrinsic=begun, result=None)
        return await self.of_extrinsic(replace(job, extrinsic=begun.hash), begun, job.wait_for)

    async def of_job(self, job: Job, wait_for: WaitFor) -> JobResult:
        """Returns the result of a job that another request began.

        Raises:
            OutcomeUnknown: as `of_extrinsic`.
        """
        try:
            found = await self._database.read(lambda connection: answer(connection, job))
        except Unavailable as error:  # Unavailable would tell the client that nothing was submitted
            raise OutcomeUnknown(f"{error.message}; ask GET /wallet/jobs/{job.id}") from error
        if found.extrinsic is None:
            return found
        return await self.of_extrinsic(job, found.extrinsic, wait_for)

    async def of_extrinsic(self, job: Job, extrinsic: Extrinsic, wait_for: WaitFor) -> JobResult:
        """Waits for the extrinsic.

        Raises:
            OutcomeUnknown: the time limit came first; the resolver follows the extrinsic.
        """
        seen = await self._outcomes.wait(extrinsic, REACHED[wait_for], WAIT_S[wait_for])
        asked = replace(job, wait_for=wait_for)
        result = result_of(asked, seen)
        if result is None and not job.in_background:
            raise OutcomeUnknown(
                f"Extrinsic 0x{seen.hash.hex()} was signed and is {seen.state}; what was waited for did not come in time."
                f" It is followed: ask GET /wallet/jobs/{job.id}"
            )
        return JobResult(job=asked, extrinsic=seen, result=result)
