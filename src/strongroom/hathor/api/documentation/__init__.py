"""The OpenAPI document of the API, and the page that shows it."""

from typing import Any

import msgspec
from litestar import Response, get

from strongroom.core.http.swagger import swagger_routes
from strongroom.hathor.api.documentation.document import openapi_document
from strongroom.hathor.api.documentation.legacy import legacy_operations
from strongroom.hathor.api.documentation.operations import operations
from strongroom.hathor.api.validation import Schema

TITLE = "Hathor wallet service API"
DOCUMENT = "/api-docs"


def documentation_routes(registration: Schema, legacy: Schema | None) -> list[Any]:
    """The bodies of `wallet/init` and of the first API's `POST wallet`, if that is served: they depend on the settings."""
    first = legacy_operations(legacy) if legacy else ()
    document = msgspec.json.encode(openapi_document(TITLE, [*operations(registration), *first]))

    @get(DOCUMENT, include_in_schema=False)
    async def read() -> Response[bytes]:
        return Response(document, media_type="application/json")

    return [read, *swagger_routes(page="/", title=TITLE, document=DOCUMENT)]
