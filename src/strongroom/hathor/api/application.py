"""The surface as one ASGI application: routes, documentation, errors, CORS, prefix."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from litestar import Litestar, Response
from litestar import Request as LitestarRequest
from litestar.config.compression import CompressionConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from strongroom.core.errors import RateLimited, StrongroomError
from strongroom.core.http.errors import ErrorAnswers
from strongroom.core.http.listener import MAX_BODY
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.storage.database import Database
from strongroom.hathor.amounts import AmountForm
from strongroom.hathor.api.admission import Admission
from strongroom.hathor.api.answers import Answer, encode_json
from strongroom.hathor.api.cors import OpenToAllPages
from strongroom.hathor.api.documentation import DOCUMENTATION, openapi_config
from strongroom.hathor.api.first_api.proposals import LegacyProposalController, LegacyProposals
from strongroom.hathor.api.first_api.wallets import LegacyWalletController, LegacyWallets
from strongroom.hathor.api.network.chain import ChainController
from strongroom.hathor.api.network.node import (
    NodeView,
    TokenController,
    VersionController,
)
from strongroom.hathor.api.network.operations import OperationController, Operations
from strongroom.hathor.api.network.proxies import ProxyController
from strongroom.hathor.api.proposals import ProposalController
from strongroom.hathor.api.refusal import Refusal, refusal_of
from strongroom.hathor.api.requests import Request
from strongroom.hathor.api.wallets.addresses import AddressController
from strongroom.hathor.api.wallets.devices import DeviceController
from strongroom.hathor.api.wallets.history import HistoryController
from strongroom.hathor.api.wallets.holdings import HoldingController
from strongroom.hathor.api.wallets.outputs import OutputController
from strongroom.hathor.api.wallets.registration import Registration, RegistrationController
from strongroom.hathor.api.wallets.wallet import WalletController, delete_wallet
from strongroom.hathor.index.supply import Supplies
from strongroom.hathor.notifications.devices import Devices
from strongroom.hathor.proposals.service import Proposals
from strongroom.hathor.proposals.submitter import Submitter

AnyRequest = LitestarRequest[Any, Any, Any]

COMPRESS_FROM = 1024
CONTROLLERS = (
    RegistrationController,
    WalletController,
    AddressController,
    HoldingController,
    HistoryController,
    OutputController,
    DeviceController,
    ProposalController,
    VersionController,
    ChainController,
    TokenController,
    ProxyController,
    OperationController,
)
FIRST_API = (LegacyWalletController, LegacyProposalController)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstApi:
    """The use cases behind the first API's routes."""

    wallets: LegacyWallets
    proposals: LegacyProposals


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The use cases behind the routes."""

    database: Database
    registration: Registration
    devices: Devices
    proposals: Proposals
    submitter: Submitter
    supplies: Supplies
    node_view: NodeView
    operations: Operations
    first_api: FirstApi | None = None
    """Where it is served."""


def create_application(
    services: Services,
    admission: Admission,
    metrics: Metrics,
    *,
    prefix: str = "",
    amounts: AmountForm = AmountForm.NUMBER,
) -> ASGIApp:
    """`prefix`, for example `/dev`: the routes answer below it too. `amounts`: of requests that do not say."""
    application = Litestar(
        route_handlers=[
            *CONTROLLERS,
            *(FIRST_API if services.first_api else ()),
            delete_wallet,  # behind the controllers: two of them cannot share a path
            *DOCUMENTATION.routes(),
        ],
        dependencies=_dependencies(services),
        before_request=admission.admit,
        exception_handlers=_Errors(metrics).handlers(),
        compression_config=CompressionConfig(backend="gzip", minimum_size=COMPRESS_FROM),
        openapi_config=openapi_config(services.registration.rules),
        state=State({"amounts": amounts}),
        request_class=Request,
        response_class=Answer,
        request_max_body_size=MAX_BODY,
        logging_config=None,
    )
    return OpenToAllPages(_PrefixMiddleware(application, prefix.strip("/")))


def _dependencies(services: Services) -> dict[str, Provide]:
    found: dict[str, object] = {
        "database": services.database,
        "registration": services.registration,
        "devices": services.devices,
        "proposals": services.proposals,
        "submitter": services.submitter,
        "supplies": services.supplies,
        "node_view": services.node_view,
        "operations": services.operations,
        "clock_skew_s": services.registration.rules.clock_skew_s,
    }
    if (first_api := services.first_api) is not None:
        found |= {"legacy_wallets": first_api.wallets, "legacy_proposals": first_api.proposals}
    return {name: _constant(value) for name, value in found.items()}


def _constant(value: object) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)


class _Errors(ErrorAnswers):
    """In the original's words, see `refusal`."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__("hathor", metrics)

    def body(self, path: str, status: int, message: str, code: str) -> dict[str, object]:
        """Of what the framework refuses, and of a defect: a word alone."""
        del path, message
        word = (
            "internal-server-error" if status == HTTPStatus.INTERNAL_SERVER_ERROR else code.replace("_", "-")
        )
        self.count(word)
        return Refusal(status, word).body()

    def _of_ours(self, request: AnyRequest, error: StrongroomError) -> Response[Any]:
        refusal = refusal_of(error)
        if refusal is None:
            return self._of_defect(request, error)
        self.count(refusal.error or str(refusal.status))
        headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, RateLimited) else None
        return self.answer(refusal.status, encode_json(refusal.body()), headers)


class _PrefixMiddleware:
    """Takes the prefix off."""

    def __init__(self, application: ASGIApp, prefix: str) -> None:
        self._application = application
        self._prefix = f"/{prefix}" if prefix else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.WEBSOCKET:  # a WebSocket has its own port
            await send({"type": "websocket.close", "code": 1000, "reason": None})
            return
        path = scope["path"]
        if self._prefix and (path + "/").startswith(self._prefix + "/"):
            path = path[len(self._prefix) :] or "/"
            scope["path"], scope["raw_path"] = path, path.encode()
        await self._application(scope, receive, send)
