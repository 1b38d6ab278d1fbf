"""Carries out weights and calls that people approved, as if their clients asked again."""

from collections.abc import Callable
from typing import Final

import msgspec

from strongroom.bittensor.calls import requests
from strongroom.bittensor.calls.service import CallRequest, Calls
from strongroom.bittensor.jobs.job import APPROVAL, JobResult, WaitFor
from strongroom.bittensor.jobs.parked import Parked, ParkedCall, ParkedJob, ParkedWeights
from strongroom.bittensor.jobs.store import find_job
from strongroom.bittensor.keystore.names import Signer
from strongroom.bittensor.protocol.weights import WeightSet
from strongroom.bittensor.weights.request import WeightsRequest
from strongroom.bittensor.weights.setter import Weights
from strongroom.core.errors import Conflict, InvalidInput, Unavailable
from strongroom.core.guard.approvals.carrying_out import ApprovedRequest
from strongroom.core.storage.database import Database

BODIES: Final = {kind.__name__: kind for kind in requests.Body.__subclasses__()}
TOO_SOON: Final = "TooSoon"
IN_FLIGHT: Final = "weights_in_flight"


class ApprovedCalls:
    """See `core.guard.approvals.carrying_out.Carrier`. `wake` lets the jobs of the background be looked at."""

    def __init__(
        self, *, weights: Weights, calls: Calls, database: Database, wake: Callable[[], None]
    ) -> None:
        self._weights = weights
        self._calls = calls
        self._database = database
        self._wake = wake

    async def carry_out(self, request: ApprovedRequest) -> None:
        """Raises: Conflict: the chain would refuse it, or it was done or followed by newer weights; as `set` and `submit`."""
        try:
            parked: Parked = msgspec.convert(request.document, Parked)
        except msgspec.ValidationError as error:
            raise InvalidInput(f"What waited cannot be read: {error}") from error
        match parked:
            case ParkedWeights():
                _require_signed(request, await self._set(request, parked))
            case ParkedCall():
                _require_signed(request, await self._submit(request, parked))
            case ParkedJob():
                await self._hand_to_runner(request, parked)

    async def _set(self, request: ApprovedRequest, parked: ParkedWeights) -> JobResult:
        wanted = WeightsRequest(
            signer=Signer(wallet=parked.wallet, hotkey=parked.hotkey, coldkey=False),
            netuid=parked.netuid,
            mechid=parked.mechid,
            weights=WeightSet(uids=parked.uids, values=parked.values, version_key=parked.version_key),
            wait_for=WaitFor.POOL,
            key=parked.key,
            approval=request.id,
            parked=parked,
        )
        try:
            return await self._weights.set(request.principal, wanted)
        except Conflict as error:
            if error.instance_code == IN_FLIGHT:  # until they are in a block
                raise Unavailable(error.message, code=IN_FLIGHT) from error
            raise

    async def _submit(self, request: ApprovedRequest, parked: ParkedCall) -> JobResult:
        kind = BODIES.get(parked.request)
        if kind is None:
            raise InvalidInput(f"This version knows no request {parked.request}")
        try:
            body = msgspec.convert(parked.body, kind)
        except msgspec.ValidationError as error:
            raise InvalidInput(f"What waited is no {parked.request}: {error}") from error
        wanted = CallRequest(
            wallet=parked.wallet, hotkey=parked.hotkey, body=body, key=request.key, approval=request.id
        )
        return await self._calls.submit(request.principal, wanted)

    async def _hand_to_runner(self, request: ApprovedRequest, parked: ParkedJob) -> None:
        """Raises: Conflict: the job has ended."""
        job = await self._database.read(
            lambda connection: find_job(connection, request.principal.name, parked.job)
        )
        if job is None or not job.is_open:
            error = ((job.result if job else None) or {}).get("error") or {}
            raise Conflict(f"The job {parked.job} has ended: {error.get('name') or 'it is done'}")
        self._wake()


def _require_signed(request: ApprovedRequest, result: JobResult) -> None:
    """Raises: Unavailable: not yet; Conflict: it never will be."""
    if result.job.document.get(APPROVAL) != request.id:
        raise Conflict(f"The same was asked for and done without this approval: job {result.job.id}")
    if result.extrinsic is not None or result.job.extrinsic is not None:
        return
    answer = result.result or {}
    name = (answer.get("error") or {}).get("name")
    if name == TOO_SOON:
        raise Unavailable(str(answer.get("message")), code="too_soon")
    raise Conflict(f"The chain would refuse it: {answer.get('message')}")
