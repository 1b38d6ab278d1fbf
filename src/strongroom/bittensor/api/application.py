"""The surface as one ASGI application: routes, documentation, errors, metrics."""

from collections.abc import Mapping
from dataclasses import dataclass

from litestar import Litestar
from litestar.di import Provide

from strongroom.bittensor.api.access import Callers
from strongroom.bittensor.api.calls import CallsController
from strongroom.bittensor.api.documentation import DOCUMENTATION, openapi_config
from strongroom.bittensor.api.errors import ErrorMapper
from strongroom.bittensor.api.extrinsics import ExtrinsicsController
from strongroom.bittensor.api.general import read_health, version
from strongroom.bittensor.api.pylon import PylonController, read_identities
from strongroom.bittensor.api.wallet import WalletController
from strongroom.bittensor.api.weights import WeightsController
from strongroom.bittensor.calls.exports import Exports
from strongroom.bittensor.calls.messages import Messages
from strongroom.bittensor.calls.remote_signing import RemoteSigning
from strongroom.bittensor.calls.service import Calls
from strongroom.bittensor.weights.setter import Weights
from strongroom.core.http.json_request import JsonRequest
from strongroom.core.http.listener import MAX_BODY
from strongroom.core.runtime.telemetry import Health, Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The use cases behind the routes."""

    health: Health
    messages: Messages
    exports: Exports
    weights: Weights
    calls: Calls
    remote_signing: RemoteSigning
    identities: Mapping[str, int]


def create_application(services: Services, *, callers: Callers, metrics: Metrics) -> Litestar:
    dependencies = {
        "health": services.health,
        "messages": services.messages,
        "exports": services.exports,
        "weight_setter": services.weights,  # a body's field of the same name would be taken for it
        "calls": services.calls,
        "remote_signing": services.remote_signing,
        "identities": services.identities,
    }
    return Litestar(
        route_handlers=[
            version,
            read_health,
            WalletController,
            WeightsController,
            read_identities,
            PylonController,
            CallsController,
            ExtrinsicsController,
            *DOCUMENTATION.routes(),
        ],
        guards=[callers.admit],
        dependencies={
            **{name: _constant(value) for name, value in dependencies.items()},
            "principal": Provide(callers.principal, sync_to_thread=False),
        },
        exception_handlers=ErrorMapper(metrics).handlers(),
        openapi_config=openapi_config(),
        request_class=JsonRequest,
        request_max_body_size=MAX_BODY,
        logging_config=None,
    )


def _constant(value: object) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)
