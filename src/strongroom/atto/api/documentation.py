"""The OpenAPI document and the page that shows it."""

import importlib.resources
from typing import Any

from litestar import MediaType, Response, get
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import (
    Components,
    OpenAPI,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Reference,
    RequestBody,
    Schema,
    SecurityScheme,
    Tag,
)
from litestar.static_files import create_static_files_router

import strongroom
from strongroom.atto.api.errors import ErrorBody
from strongroom.atto.api.transactions import NDJSON
from strongroom.atto.views import EntryView

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
ERROR_REFERENCE = f"#/components/schemas/{ErrorBody.__name__}"
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def openapi_config() -> OpenAPIConfig:
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


def complete(document: OpenAPI) -> None:
    """Adds what holds for every operation, and corrects what the framework takes for granted."""
    for path in (document.paths or {}).values():
        for operation in (path.get, path.post, path.put):
            if operation is None:
                continue
            responses = operation.responses = operation.responses or {}
            if responses.get("400") is None or _is_frameworks_own(responses["400"]):
                responses["400"] = _error("A value of the request is invalid")
            responses["401"] = _error("A token is required, or the given one is not valid")
            responses["403"] = _error("The token lacks the scope")
            _empty_where_it_is(responses["200"])
            operation.responses = dict(sorted(responses.items()))
    document.paths = dict(sorted((document.paths or {}).items()))
    _complete_search(document)


def _complete_search(document: OpenAPI) -> None:
    """Its body may be absent, and it answers in one of two forms."""
    search = (document.paths or {})["/wallets/accounts/entries"].post
    body = search.request_body if search else None
    answer = (search.responses or {})["200"] if search else None
    if not isinstance(body, RequestBody) or not isinstance(answer, OpenAPIResponse):
        raise TypeError("the search of entries is not described as expected")
    body.required = False
    line = OpenAPIMediaType(schema=Reference(ref=f"#/components/schemas/{EntryView.__name__}"))
    answer.content = {**(answer.content or {}), NDJSON: line}


def _empty_where_it_is(response: OpenAPIResponse | Reference) -> None:
    """The framework takes an answer without a body for `null`."""
    if isinstance(response, OpenAPIResponse) and response.content is not None:
        (media,) = list(response.content.values())
        if isinstance(media.schema, Schema) and media.schema.type is OpenAPIType.NULL:
            response.content = None


def _is_frameworks_own(response: OpenAPIResponse | Reference) -> bool:
    """Whether it describes an error in the framework's form, which this surface never answers with."""
    content = response.content if isinstance(response, OpenAPIResponse) else None
    return any(not isinstance(media.schema, Reference) for media in (content or {}).values())


def _error(description: str) -> OpenAPIResponse:
    schema = Reference(ref=ERROR_REFERENCE)
    return OpenAPIResponse(description=description, content={MediaType.JSON: OpenAPIMediaType(schema=schema)})


def documentation_routes() -> list[Any]:
    assets = importlib.resources.files("swagger_ui") / "static"
    files = create_static_files_router(path="/swagger-ui", directories=[str(assets)], include_in_schema=False)
    return [_page, _start, files]


@get("/", include_in_schema=False, media_type=MediaType.HTML)
async def _page() -> Response[str]:
    return Response(PAGE, headers=SECURITY_HEADERS, media_type=MediaType.HTML)


@get("/swagger-ui-start.js", include_in_schema=False)
async def _start() -> Response[str]:
    return Response(START, media_type="text/javascript")
