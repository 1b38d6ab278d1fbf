"""The surface as one ASGI application: routes, errors, CORS, prefix."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from litestar import Litestar, Response, route
from litestar.config.compression import CompressionConfig
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from strongroom.core.errors import StrongroomError
from strongroom.core.http.errors import ErrorAnswers
from strongroom.core.runtime.telemetry import Metrics
from strongroom.hathor.api.amounts import AmountForm
from strongroom.hathor.api.documentation import documentation_routes
from strongroom.hathor.api.first_api.proposals import LegacyProposalRoutes
from strongroom.hathor.api.first_api.wallets import LegacyRoutes
from strongroom.hathor.api.network.chain import ChainRoutes
from strongroom.hathor.api.network.node import NodeRoutes
from strongroom.hathor.api.network.operations import OperationRoutes
from strongroom.hathor.api.proposals import ProposalRoutes
from strongroom.hathor.api.refusal import Refusal, refusal_of
from strongroom.hathor.api.requests import ProxiedResponse, Request, written
from strongroom.hathor.api.wallets.addresses import AddressRoutes
from strongroom.hathor.api.wallets.deletion import DeletionRoute
from strongroom.hathor.api.wallets.devices import PushRoutes
from strongroom.hathor.api.wallets.history import HistoryRoutes
from strongroom.hathor.api.wallets.holdings import HoldingRoutes
from strongroom.hathor.api.wallets.outputs import OutputRoutes
from strongroom.hathor.api.wallets.registration import Registration
from strongroom.hathor.notifications.devices import Devices
from strongroom.hathor.wallets.access import WalletReader
from strongroom.hathor.wallets.jwt import Tokens

MAX_BODY = 1_000_000
COMPRESS_FROM = 1024
JSON = "application/json"
CORS = [
    (b"access-control-allow-origin", b"*"),
    # The star does not stand for Authorization.
    (b"access-control-allow-headers", b"Authorization,Content-Type,X-Api-Key,Strongroom-Amounts,*"),
    (b"access-control-allow-methods", b"GET,POST,PUT,DELETE,OPTIONS"),
]

Action = Callable[[Request], Awaitable[Response[Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """What answers the requests of the surface."""

    registration: Registration
    reader: WalletReader
    tokens: Tokens
    deletion: DeletionRoute
    proposals: ProposalRoutes
    node: NodeRoutes
    chain: ChainRoutes
    operations: OperationRoutes
    first_api: tuple[LegacyRoutes, LegacyProposalRoutes] | None = None
    """Where it is served."""


def create_application(
    routes: Routes, metrics: Metrics, *, prefix: str = "", amounts: AmountForm = AmountForm.NUMBER
) -> ASGIApp:
    """`prefix`, for example `/dev`: the routes answer below it too. `amounts`: of requests that do not say."""
    first_api = routes.first_api
    application = Litestar(
        route_handlers=[
            *_registration_handlers(routes.registration),
            *_wallet_handlers(routes),
            *_proposal_handlers(routes.proposals),
            *_node_handlers(routes.node),
            *_chain_handlers(routes.chain),
            *(_first_api_handlers(*first_api) if first_api else ()),
            _handler("GET", "/metrics", routes.operations.metrics),
            _handler("GET", "/health", routes.operations.health),
            *documentation_routes(
                routes.registration.schema, first_api[0].load_schema if first_api else None
            ),
        ],
        exception_handlers=_Errors(metrics).handlers(),
        compression_config=CompressionConfig(backend="gzip", minimum_size=COMPRESS_FROM),
        openapi_config=None,
        state=State({"amounts": amounts}),
        request_max_body_size=MAX_BODY,
        logging_config=None,
    )
    return _PrefixMiddleware(application, prefix.strip("/"))


def _registration_handlers(registration: Registration) -> list[HTTPRouteHandler]:
    return [
        _handler("POST", "/wallet/init", registration.load),
        _handler("PUT", "/wallet/auth", registration.change_auth_key),
        _handler("POST", "/auth/token", registration.issue_token),
        _handler("POST", "/auth/token/readonly", registration.issue_read_only_token),
    ]


def _wallet_handlers(routes: Routes) -> list[HTTPRouteHandler]:
    reader, tokens = routes.reader, routes.tokens
    addresses, holdings = AddressRoutes(reader, tokens), HoldingRoutes(reader, tokens)
    devices = PushRoutes(Devices(reader), tokens)
    outputs, history = OutputRoutes(reader, tokens), HistoryRoutes(reader, tokens)
    used_beyond_first = "/wallet/addresses/has-transactions-outside-first-address"
    return [
        _handler("GET", "/wallet/status", addresses.status),
        _handler("GET", "/wallet/addresses", addresses.addresses),
        _handler("GET", "/wallet/address/info", addresses.info),
        _handler("GET", "/wallet/addresses/new", addresses.new),
        _handler("POST", "/wallet/addresses/check_mine", addresses.check_mine),
        _handler("GET", used_beyond_first, addresses.used_beyond_first),
        _handler("GET", "/wallet/balances", holdings.balances),
        _handler("GET", "/wallet/tokens", holdings.tokens),
        _handler("GET", "/wallet/history", history.history),
        _handler("GET", "/wallet/history/export", history.export),
        _handler("GET", "/wallet/transactions/{txId:str}", holdings.transaction),
        _handler("GET", "/wallet/utxos", outputs.utxos),
        _handler("GET", "/wallet/tx_outputs", outputs.tx_outputs),
        _handler("POST", "/wallet/push/register", devices.register),
        _handler("PUT", "/wallet/push/update", devices.update),
        _handler("DELETE", "/wallet/push/unregister/{deviceId:str}", devices.unregister),
        _handler("DELETE", "/wallet", routes.deletion.delete),
    ]


def _proposal_handlers(proposals: ProposalRoutes) -> list[HTTPRouteHandler]:
    return [
        _handler("POST", "/tx/proposal", proposals.create),
        _handler("PUT", "/tx/proposal/{txProposalId:str}", proposals.send),
        _handler("DELETE", "/tx/proposal/{txProposalId:str}", proposals.destroy),
    ]


def _chain_handlers(chain: ChainRoutes) -> list[HTTPRouteHandler]:
    return [
        _handler("GET", "/miners", chain.miners),
        _handler("GET", "/blocks/latest", chain.latest_block),
        _handler("GET", "/tokens/{token_id:str}/supply", chain.total_supply),
    ]


def _node_handlers(node: NodeRoutes) -> list[HTTPRouteHandler]:
    proxy = "/wallet/proxy"
    return [
        _handler("GET", "/version", node.version),
        _handler("GET", "/wallet/tokens/{token_id:str}/details", node.token_details),
        _handler("GET", f"{proxy}/transactions/{{txId:str}}", node.transaction),
        _handler("GET", f"{proxy}/transactions/{{txId:str}}/confirmation_data", node.confirmation),
        _handler("GET", f"{proxy}/graphviz/neighbours", node.neighbours),
        _handler("GET", f"{proxy}/nano_contract/state", node.contract_state),
        _handler("GET", f"{proxy}/nano_contract/history", node.contract_history),
        _handler("GET", f"{proxy}/nano_contract/blueprint/info", node.blueprint),
    ]


def _first_api_handlers(wallets: LegacyRoutes, proposals: LegacyProposalRoutes) -> list[HTTPRouteHandler]:
    return [
        _handler("POST", "/wallet", wallets.load),
        _handler("GET", "/wallet", wallets.status),
        _handler("GET", "/balances", wallets.balances),
        _handler("GET", "/addresses", wallets.addresses),
        _handler("GET", "/txhistory", wallets.history),
        _handler("POST", "/txproposals", proposals.create),
        _handler("PUT", "/txproposals/{txProposalId:str}", proposals.send),
        _handler("DELETE", "/txproposals/{txProposalId:str}", proposals.destroy),
    ]


def _handler(method: Any, path: str, action: Action) -> HTTPRouteHandler:
    async def handle(request: Request) -> Response[Any]:
        form = AmountForm.of(request)
        response = await action(request)
        if (
            form is not AmountForm.NUMBER
            and response.media_type == JSON
            and not isinstance(response, ProxiedResponse)
        ):
            response.content = form.rewritten(response.content)
        return response

    return route(path, http_method=[method], status_code=200)(handle)


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

    def _of_ours(self, request: Request, error: StrongroomError) -> Response[Any]:
        refusal = refusal_of(error)
        if refusal is None:
            return self._of_defect(request, error)
        self.count(refusal.error or str(refusal.status))
        return written(refusal.body(), refusal.status)


class _PrefixMiddleware:
    """Takes the prefix off, answers preflights, and lets every answer be read from any web page."""

    def __init__(self, application: ASGIApp, prefix: str) -> None:
        self._application = application
        self._prefix = f"/{prefix}" if prefix else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.WEBSOCKET:  # a WebSocket has its own port
            await send({"type": "websocket.close", "code": 1000, "reason": None})
            return

        async def open_to_all(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *CORS]
            await send(message)

        if scope["method"] == "OPTIONS":
            await open_to_all({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        path = scope["path"]
        if self._prefix and (path + "/").startswith(self._prefix + "/"):
            path = path[len(self._prefix) :] or "/"
            scope["path"], scope["raw_path"] = path, path.encode()
        await self._application(scope, receive, open_to_all)
