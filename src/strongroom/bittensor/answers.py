"""What is known of a job, as soon as it is what the request waits for."""

from dataclasses import replace
from typing import Final

from strongroom.bittensor.extrinsics import Extrinsic
from strongroom.bittensor.jobs import REACHED, Answer, Job, WaitFor, answer, result_of
from strongroom.bittensor.outcomes import Outcomes
from strongroom.core.database import Database
from strongroom.core.errors import OutcomeUnknown

WAIT_S: Final = {WaitFor.POOL: 20.0, WaitFor.BLOCK: 60.0, WaitFor.FINAL: 80.0}


class Answers:
    def __init__(self, database: Database, outcomes: Outcomes) -> None:
        self._database = database
        self._outcomes = outcomes

    async def of_job(self, job: Job, wait_for: WaitFor) -> Answer:
        """The answer of a job that another request began.

        Raises:
            OutcomeUnknown: as `of_extrinsic`.
        """
        found = await self._database.read(lambda connection: answer(connection, job))
        if found.extrinsic is None:
            return found
        return await self.of_extrinsic(job, found.extrinsic, wait_for)

    async def of_extrinsic(self, job: Job, extrinsic: Extrinsic, wait_for: WaitFor) -> Answer:
        """Raises: OutcomeUnknown: the time was over first; the extrinsic is followed."""
        seen = await self._outcomes.wait(extrinsic, REACHED[wait_for], WAIT_S[wait_for])
        asked = replace(job, wait_for=wait_for)
        result = result_of(asked, seen)
        if result is None and not job.in_background:
            raise OutcomeUnknown(
                f"Extrinsic 0x{seen.hash.hex()} was signed and is {seen.state}; what was waited for did not come in time."
                f" It is followed: ask GET /wallet/jobs/{job.id}"
            )
        return Answer(job=asked, extrinsic=seen, result=result)
