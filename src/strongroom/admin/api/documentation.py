"""The OpenAPI document and its page."""

from typing import Any, Final

from litestar import Litestar, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import (
    Components,
    OpenAPI,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Schema,
    SecurityScheme,
    Tag,
)

import strongroom
from strongroom.admin.api.errors import PROBLEM
from strongroom.core.http.openapi import LazyDocument
from strongroom.core.http.route_access import PUBLIC
from strongroom.core.http.swagger import swagger_routes

TITLE: Final = "Strongroom admin API"
PAGE: Final = "/admin/v1/docs"
DOCUMENT: Final = "/admin/v1/openapi.json"
TEXT: Final = Schema(type=OpenAPIType.STRING)
NUMBER: Final = Schema(type=OpenAPIType.INTEGER)
CHANGE: Final = Schema(
    type=OpenAPIType.OBJECT,
    properties={
        "ledger": TEXT,
        "done": Schema(type=OpenAPIType.BOOLEAN),
        "code": TEXT,
        "detail": TEXT,
    },
    required=["ledger", "done"],
)
PROBLEM_SCHEMA: Final = Schema(
    type=OpenAPIType.OBJECT,
    properties={
        "title": TEXT,
        "status": NUMBER,
        "detail": TEXT,
        "code": TEXT,
        "requestId": TEXT,
        "approvalId": Schema(
            type=OpenAPIType.STRING, description="under which the change waits for approvals"
        ),
        "ledgers": Schema(
            type=OpenAPIType.ARRAY,
            items=CHANGE,
            description="of a change of several ledgers: what became of each",
        ),
    },
    required=["title", "status", "detail", "code"],
)
REFUSALS: Final = {
    "400": "A value of the request is invalid",
    "401": "No token, or none that counts",
    "403": "The token lacks the scope, or has no authority over the ledger",
    "404": "There is no such thing",
    "409": "It contradicts what there is, such as a name that is taken",
    "413": "The body is too large",
    "415": "The body is not JSON",
    "429": "Too many requests with this token",
    "503": "The database of the ledger does not answer",
    "504": "Whether the database has done it is not known",
}


def openapi_config() -> OpenAPIConfig:
    return OpenAPIConfig(
        title=TITLE,
        version=strongroom.__version__,
        description=(
            "Tokens, rules, freezes and payments of every ledger. Every call needs a token with the scope `admin` or a"
            " narrower one, which is valid for the ledgers in whose databases it stands. Amounts are text."
        ),
        openapi_router=Router(path=DOCUMENT, route_handlers=[], opt=PUBLIC, include_in_schema=False),
        render_plugins=[LazyDocument(_document)],
        tags=[
            Tag(name="Ledgers", description="Who the caller is, and which ledgers there are."),
            Tag(name="Tokens", description="Who may do what."),
            Tag(name="Rules", description="What is signed."),
            Tag(name="Approvals", description="What waits for people."),
            Tag(name="Freezes", description="What is not signed now."),
            Tag(name="Payments", description="What was signed."),
        ],
        components=Components(
            security_schemes={
                "token": SecurityScheme(
                    type="http", scheme="bearer", description="A token with a scope of the admin API"
                )
            }
        ),
        security=[{"token": []}],
    )


def _document(application: Litestar) -> dict[str, Any]:
    document = application.openapi_schema
    describe(document)
    return document.to_schema()


def describe(document: OpenAPI) -> None:
    """Replaces the framework's own form of errors, which this surface never sends, by problems."""
    if document.components is None:
        raise TypeError("the document has no components as expected")
    for item in (document.paths or {}).values():
        for operation in (item.get, item.post, item.patch, item.delete):
            if operation is not None:
                _describe(operation)
    document.paths = dict(sorted((document.paths or {}).items()))


def _describe(operation: Operation) -> None:
    responses = operation.responses or {}
    for status, description in REFUSALS.items():
        content = {PROBLEM: OpenAPIMediaType(schema=PROBLEM_SCHEMA)}
        responses[status] = OpenAPIResponse(description=description, content=content)
    operation.responses = dict(sorted(responses.items()))


def documentation_routes() -> list[Any]:
    return swagger_routes(page=PAGE, title=TITLE, document=DOCUMENT, marks=PUBLIC)
