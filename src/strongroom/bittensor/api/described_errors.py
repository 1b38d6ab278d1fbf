"""What the OpenAPI document says of refusals: they hold for every operation that asks for a token."""

from typing import Final

from litestar import MediaType
from litestar.openapi.spec import (
    OpenAPI,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Reference,
    Schema,
)

PUBLIC_PATHS: Final = frozenset({"/", "/health", "/api/v1/identities"})
TEXT: Final = Schema(type=OpenAPIType.STRING)
STEP: Final = Schema(any_of=[TEXT, Schema(type=OpenAPIType.INTEGER)])
"""A member's name, or an item's place in a list, as FastAPI tells it."""
FAULT: Final = Schema(
    type=OpenAPIType.OBJECT,
    properties={"type": TEXT, "loc": Schema(type=OpenAPIType.ARRAY, items=STEP), "msg": TEXT},
    required=["type", "loc", "msg"],
)
ERROR: Final = Schema(
    type=OpenAPIType.OBJECT,
    properties={
        "detail": Schema(any_of=[TEXT, Schema(type=OpenAPIType.ARRAY, items=FAULT)]),
        "code": TEXT,
        "approval_id": Schema(description="Of a request that waits for approvals", type=OpenAPIType.STRING),
        "submitted": Schema(
            description="false: nothing was submitted; `unknown`: it was signed and is followed",
            any_of=[Schema(type=OpenAPIType.BOOLEAN), TEXT],
        ),
    },
    required=["detail", "code"],
)
UNAUTHENTICATED: Final = Schema(
    type=OpenAPIType.OBJECT, properties={"error": TEXT, "code": TEXT}, required=["error", "code"]
)
REFUSALS: Final = {
    "400": "A value of the request is invalid",
    "403": "The token's rights or limits, a rule, or that people must approve it first",
    "404": "There is no such wallet, key or job",
    "409": "It contradicts what is under way, or an earlier request with this Idempotency-Key",
    "413": "The body is too large",
    "422": "The body or the query is not as described",
    "423": "The key is locked",
    "429": "Too many requests with this token",
    "502": "The node answers with what cannot be; nothing was submitted",
    "503": "Database, keys or chain are away; nothing was submitted",
    "504": "Signed; whether the chain has it is not known yet",
}


def describe_errors(document: OpenAPI) -> None:
    """Replaces the framework's own form of errors, which this surface never sends, by those of this surface."""
    if document.components is None:
        raise TypeError("the document has no components as expected")
    document.components.schemas |= {"Error": ERROR, "Unauthenticated": UNAUTHENTICATED}
    for path, item in (document.paths or {}).items():
        for operation in (item.get, item.post, item.put):
            if operation is not None:
                _describe(operation, public=path in PUBLIC_PATHS)
    document.paths = dict(sorted((document.paths or {}).items()))


def _describe(operation: Operation, *, public: bool) -> None:
    responses = operation.responses = operation.responses or {}
    if public:
        responses.pop("400", None)
        operation.security = [{}]
        return
    for status, description in REFUSALS.items():
        responses[status] = _response(description, "Error")
    responses["401"] = _response("No token, or none that counts", "Unauthenticated")
    operation.responses = dict(sorted(responses.items()))


def _response(description: str, schema: str) -> OpenAPIResponse:
    content: dict[str, OpenAPIMediaType] = {
        MediaType.JSON: OpenAPIMediaType(schema=Reference(ref=f"#/components/schemas/{schema}"))
    }
    return OpenAPIResponse(description=description, content=content)
