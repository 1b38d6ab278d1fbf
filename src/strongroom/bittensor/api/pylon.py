"""The routes by which clients of Pylon set weights, by hotkey; with a token that is checked, and a job to ask for."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from litestar import Controller, Response, get, put
from litestar.di import NamedDependency
from litestar.params import Body, FromPath

from strongroom.bittensor.api.outcomes import job_document
from strongroom.bittensor.api.weights import IdempotencyKey
from strongroom.bittensor.authorization.limits import READ, SUBMIT
from strongroom.bittensor.jobs.job import WaitFor
from strongroom.bittensor.keystore.names import DEFAULT_HOTKEY, Signer
from strongroom.bittensor.weights.request import weights_request
from strongroom.bittensor.weights.setter import Weights
from strongroom.core.errors import InvalidInput, NotFound
from strongroom.core.http.route_access import PUBLIC, needs
from strongroom.core.security.access import Principal


class PylonWeights(msgspec.Struct, kw_only=True):
    weights: dict[str, float]
    """By the neurons' hotkeys."""
    allow_all_zero_weights: bool = False
    """As in `/wallet/set_weights`."""


@get(
    "/api/v1/identities",
    summary="The subnets of identities",
    tags=["Pylon"],
    opt=PUBLIC,
    sync_to_thread=False,
)
def read_identities(identities: NamedDependency[Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Of those that BITTENSOR_PYLON_IDENTITIES names. Pylon's client asks this first, without its token."""
    return {"identities": dict(identities)}


class PylonController(Controller):
    path = "/api/v1/identity/{identity:str}/subnet/{netuid:int}"
    tags = ("Pylon",)

    @put("/weights", status_code=200, summary="Set weights by hotkey, in the background", opt=needs(SUBMIT))
    async def put_weights(
        self,
        identity: FromPath[str],
        netuid: FromPath[int],
        data: Annotated[PylonWeights, Body()],
        weight_setter: NamedDependency[Weights],
        principal: NamedDependency[Principal],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[dict[str, Any]]:
        """`identity` is a wallet, or `wallet:hotkey`. Hotkeys that the subnet does not know are left out, and named."""
        signer = _signer(identity)
        found = await weight_setter.uids_of(principal, signer, netuid, list(data.weights))
        missing = [address for address in data.weights if address not in found]
        if not found:
            raise InvalidInput("None of these hotkeys is registered in the subnet", code="invalid_weights")
        request = weights_request(
            signer=signer,
            netuid=netuid,
            mechid=0,
            uids=list(found.values()),
            weights=[data.weights[address] for address in found],
            version_key=0,
            may_be_zero=data.allow_all_zero_weights,
            wait_for=WaitFor.FINAL,
            key=idempotency_key,
            in_background=True,
        )
        answer = await weight_setter.set(principal, request)
        return Response(
            {
                "detail": "weights update scheduled",
                "count": len(found),
                "job_id": answer.job.id,
                "not_registered": missing,
            }
        )

    @get("/weights/{job:str}", summary="What became of weights", opt=needs(READ))
    async def read_job(
        self,
        identity: FromPath[str],
        netuid: FromPath[int],
        job: FromPath[str],
        weight_setter: NamedDependency[Weights],
        principal: NamedDependency[Principal],
    ) -> dict[str, Any]:
        """As `GET /wallet/jobs/{id}`."""
        found = await weight_setter.find(principal, job)
        if found is None or not _concerns(found.job.document, _signer(identity), netuid):
            raise NotFound("There is no such job", code="job_not_found")
        return job_document(found)


def _signer(identity: str) -> Signer:
    wallet, _, hotkey = identity.partition(":")
    return Signer(wallet=wallet, hotkey=hotkey or DEFAULT_HOTKEY, coldkey=False)


def _concerns(facts: dict[str, Any], signer: Signer, netuid: int) -> bool:
    """Jobs of calls that set no weights have no subnet."""
    return (facts["wallet"], facts["hotkey"], facts.get("netuid")) == (signer.wallet, signer.hotkey, netuid)
