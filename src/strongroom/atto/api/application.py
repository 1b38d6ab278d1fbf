"""The surface as one ASGI application: routes, documentation, errors, metrics."""

import importlib.resources
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from litestar import Litestar, MediaType, Response, get
from litestar.datastructures import State
from litestar.di import Provide
from litestar.middleware import ASGIMiddleware
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Tag
from litestar.static_files import create_static_files_router
from litestar.types import ASGIApp, Message, Receive, Scope, Send

import strongroom
from strongroom.atto.accounts import Accounts
from strongroom.atto.api.access import Callers
from strongroom.atto.api.accounts import AccountController
from strongroom.atto.api.errors import ErrorMapper
from strongroom.atto.api.idempotent import IdempotentRequests
from strongroom.atto.api.transactions import TransactionController, noop
from strongroom.atto.api.wallets import WalletController
from strongroom.atto.history import History
from strongroom.atto.progress import ProgressBoard
from strongroom.atto.queries import Queries
from strongroom.atto.receiver import Receiver
from strongroom.atto.recovery import Recoverer
from strongroom.atto.transactions import Transactions
from strongroom.atto.wallets import Wallets
from strongroom.core.access import Gatekeeper
from strongroom.core.clock import Clock
from strongroom.core.idempotency import Idempotency
from strongroom.core.telemetry import Metrics

LARGEST_BODY = 1_000_000

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><title>Atto Wallet Server API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/swagger-ui/swagger-ui.css">
<link rel="icon" type="image/png" href="/swagger-ui/favicon-32x32.png">
</head>
<body><div id="swagger-ui"></div>
<script src="/swagger-ui/swagger-ui-bundle.js"></script>
<script src="/swagger-ui-start.js"></script>
</body>
</html>
"""
START = """SwaggerUIBundle({url: "/v3/api-docs", dom_id: "#swagger-ui", deepLinking: true, displayRequestDuration: true});
"""
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The use cases behind the routes."""

    wallets: Wallets
    accounts: Accounts
    recoverer: Recoverer
    transactions: Transactions
    queries: Queries
    history: History
    receiver: Receiver
    board: ProgressBoard


def create_application(
    services: Services, *, idempotency: Idempotency, gatekeeper: Gatekeeper, clock: Clock, metrics: Metrics
) -> Litestar:
    errors = ErrorMapper(clock, metrics)
    idempotent = IdempotentRequests(idempotency, services.transactions, errors)
    dependencies = {
        "wallets": services.wallets,
        "accounts": services.accounts,
        "recoverer": services.recoverer,
        "transactions": services.transactions,
        "queries": services.queries,
        "history": services.history,
        "receiver": services.receiver,
        "board": services.board,
        "idempotent": idempotent,
    }
    return Litestar(
        route_handlers=[WalletController, AccountController, TransactionController, noop, *_documentation()],
        dependencies={
            **{name: _constant(value) for name, value in dependencies.items()},
            "principal": Provide(Callers(gatekeeper).principal),
        },
        exception_handlers=errors.handlers(),
        middleware=[_Timing(metrics)],
        openapi_config=_openapi(),
        request_max_body_size=LARGEST_BODY,
        logging_config=None,
        state=State(),
    )


def _constant(value: object) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Atto Wallet Server API",
        version=strongroom.__version__,
        description=(
            "Custody of Atto accounts. Operations are synchronous: use a client timeout of about one minute. "
            "Amounts are raw units (1 ATTO = 10^9 raw)."
        ),
        path="/v3/api-docs",
        render_plugins=[JsonRenderPlugin(path="/", media_type=MediaType.JSON)],
        tags=[
            Tag(name="Wallets", description="Mnemonics, locks, totals."),
            Tag(name="Accounts", description="Accounts, sends, representatives, history."),
        ],
        components=Components(
            security_schemes={
                "token": SecurityScheme(type="http", scheme="bearer", description="An API token")
            }
        ),
        security=[{"token": []}, {}],
    )


def _documentation() -> list[Any]:
    assets = importlib.resources.files("swagger_ui") / "static"
    files = create_static_files_router(path="/swagger-ui", directories=[str(assets)], include_in_schema=False)
    return [_page, _start, files]


@get("/", include_in_schema=False, media_type=MediaType.HTML)
async def _page() -> Response[str]:
    return Response(PAGE, headers=SECURITY_HEADERS, media_type=MediaType.HTML)


@get("/swagger-ui-start.js", include_in_schema=False)
async def _start() -> Response[str]:
    return Response(START, media_type="text/javascript")


class _Timing(ASGIMiddleware):
    """Durations by route template, under the original's metric name."""

    def __init__(self, metrics: Metrics) -> None:
        self._requests = metrics.http_requests

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        started_s = perf_counter()
        status = 500

        async def observe(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await next_app(scope, receive, observe)
        finally:
            template = scope.get("path_template", "unknown")
            self._requests.labels(scope["method"], template, status).observe(perf_counter() - started_s)  # type: ignore[typeddict-item]
