"""`POST /wallet/set_weights`, as the subnet project's document has it, and what became of it."""

from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import Body, FromPath, HeaderParameter

from strongroom.bittensor.api.outcomes import call_answer, job_document
from strongroom.bittensor.authorization.limits import READ, SUBMIT
from strongroom.bittensor.jobs.job import WaitFor
from strongroom.bittensor.keystore.names import DEFAULT_HOTKEY, Signer
from strongroom.bittensor.weights.request import weights_request
from strongroom.bittensor.weights.setter import Weights
from strongroom.core.errors import NotFound
from strongroom.core.http.route_access import needs
from strongroom.core.security.access import Principal

RESPOND_ASYNC = "respond-async"

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        required=False,
        description="Repeat a request with the same key and body, and get the same answer.",
    ),
]
Prefer = Annotated[
    str | None,
    HeaderParameter(
        name="Prefer", required=False, description="`respond-async` is the same as `async` in the body."
    ),
]


class WeightsData(msgspec.Struct, kw_only=True):
    netuid: int
    uids: list[int]
    weights: list[int | float]
    """Integers pass unchanged. With a float among them all are divided by the largest and scaled to 65535."""
    version_key: int = 0
    mechid: int = 0
    allow_all_zero_weights: bool = False
    """Weights that are all zero take away all that the hotkey has set: only where this says so."""
    wait_for_finalization: bool = False
    wait_for_inclusion: bool = False


class SetWeightsRequest(msgspec.Struct, kw_only=True):
    wallet_name: str
    hotkey_name: str = DEFAULT_HOTKEY
    transaction_data: WeightsData
    is_async: bool = msgspec.field(default=False, name="async")
    """Answer 202 at once; the job waits for the chain's turn and goes on over restarts."""


class WeightsController(Controller):
    path = "/wallet"
    tags = ("Wallet",)

    @post("/set_weights", status_code=200, summary="Set weights", opt=needs(SUBMIT))
    async def set_weights(
        self,
        data: Annotated[SetWeightsRequest, Body()],
        weight_setter: NamedDependency[Weights],
        principal: NamedDependency[Principal],
        idempotency_key: IdempotencyKey = None,
        prefer: Prefer = None,
    ) -> Response[dict[str, Any]]:
        """Has the hotkey set weights. A refusal by the chain is 200 with `success: false`."""
        given = data.transaction_data
        request = weights_request(
            signer=Signer(wallet=data.wallet_name, hotkey=data.hotkey_name, coldkey=False),
            netuid=given.netuid,
            mechid=given.mechid,
            uids=given.uids,
            weights=given.weights,
            version_key=given.version_key,
            may_be_zero=given.allow_all_zero_weights,
            wait_for=_wait_for(given),
            key=idempotency_key,
            in_background=data.is_async or RESPOND_ASYNC in (prefer or ""),
        )
        return call_answer(await weight_setter.set(principal, request))

    @get("/jobs/{job:str}", summary="What became of a call", opt=needs(READ))
    async def read_job(
        self,
        job: FromPath[str],
        weight_setter: NamedDependency[Weights],
        principal: NamedDependency[Principal],
    ) -> dict[str, Any]:
        """A job of the same token, by its id or by the Idempotency-Key of the request."""
        found = await weight_setter.find(principal, job)
        if found is None:
            raise NotFound("There is no such job", code="job_not_found")
        return job_document(found)


def _wait_for(data: WeightsData) -> WaitFor:
    if data.wait_for_finalization:
        return WaitFor.FINAL
    return WaitFor.BLOCK if data.wait_for_inclusion else WaitFor.POOL
