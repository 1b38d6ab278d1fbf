"""The OpenAPI document and its page."""

from typing import Any

from litestar import Litestar, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme, Tag

import strongroom
from strongroom.bittensor.api.described_errors import describe_errors
from strongroom.core.http.openapi import LazyDocument
from strongroom.core.http.route_access import PUBLIC
from strongroom.core.http.swagger import swagger_routes

TITLE = "Bittensor wallet service"
PAGE = "/docs"
DOCUMENT = "/openapi.json"


def openapi_config() -> OpenAPIConfig:
    return OpenAPIConfig(
        title=TITLE,
        version=strongroom.__version__,
        description=(
            "Keys of Bittensor wallets, and what is signed with them. Every call but those under General needs a"
            " bearer token. Amounts are rao (1 TAO = 10^9 rao)."
        ),
        openapi_router=Router(path=DOCUMENT, route_handlers=[], opt=PUBLIC, include_in_schema=False),
        render_plugins=[LazyDocument(_document)],
        tags=[
            Tag(name="General", description="Version and health."),
            Tag(name="Wallet", description="Addresses, signatures of messages, weights."),
            Tag(name="Calls", description="Other calls to the chain, each if the token allows it."),
        ],
        components=Components(
            security_schemes={
                "token": SecurityScheme(
                    type="http", scheme="bearer", description="WALLET_SERVICE_TOKEN or an issued token"
                )
            }
        ),
        security=[{"token": []}],
    )


def _document(application: Litestar) -> dict[str, Any]:
    document = application.openapi_schema
    describe_errors(document)
    return document.to_schema()


def documentation_routes() -> list[Any]:
    return swagger_routes(page=PAGE, title=TITLE, document=DOCUMENT, marks=PUBLIC)
