"""The OpenAPI document and the page that shows it."""

from litestar import MediaType
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import (
    OpenAPI,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Reference,
    RequestBody,
    Schema,
    Tag,
)

from strongroom.atto.api.errors import ErrorBody
from strongroom.atto.api.transactions import NDJSON
from strongroom.atto.history.views import EntryView
from strongroom.core.http.openapi import Documentation, bearer, described

DOCUMENTATION = Documentation(title="Atto Wallet Server API", document="/v3/api-docs", page="/")
ERROR_REFERENCE = f"#/components/schemas/{ErrorBody.__name__}"


def openapi_config() -> OpenAPIConfig:
    return DOCUMENTATION.config(
        described(_complete),
        description=(
            "Custody of Atto accounts. Operations are synchronous: use a client timeout of about one minute. "
            "Amounts are raw units (1 ATTO = 10^9 raw)."
        ),
        tags=[
            Tag(name="Wallets", description="Mnemonics, locks, totals."),
            Tag(name="Accounts", description="Accounts, sends, representatives, history."),
        ],
        schemes={"token": bearer("An API token")},
        security=[{"token": []}, {}],
    )


def _complete(document: OpenAPI) -> None:
    """Adds the error answers that every operation has, and corrects the framework's own descriptions."""
    for path in (document.paths or {}).values():
        for operation in (path.get, path.post, path.put):
            if operation is None:
                continue
            responses = operation.responses = operation.responses or {}
            if responses.get("400") is None or _is_frameworks_own(responses["400"]):
                responses["400"] = _error("A value of the request is invalid")
            responses["401"] = _error("A token is required, or the given one is not valid")
            responses["403"] = _error("The token lacks the scope")
            _describe_empty_answer(responses["200"])
            operation.responses = dict(sorted(responses.items()))
    document.paths = dict(sorted((document.paths or {}).items()))
    _complete_search(document)


def _complete_search(document: OpenAPI) -> None:
    """Describes the search of entries: its request body is optional, and it answers in JSON or in NDJSON."""
    search = (document.paths or {})["/wallets/accounts/entries"].post
    body = search.request_body if search else None
    answer = (search.responses or {})["200"] if search else None
    if not isinstance(body, RequestBody) or not isinstance(answer, OpenAPIResponse):
        raise TypeError("the search of entries is not described as expected")
    body.required = False
    line = OpenAPIMediaType(schema=Reference(ref=f"#/components/schemas/{EntryView.__name__}"))
    answer.content = {**(answer.content or {}), NDJSON: line}


def _describe_empty_answer(response: OpenAPIResponse | Reference) -> None:
    """Removes the content of an answer without a body; the framework describes it as `null`."""
    if isinstance(response, OpenAPIResponse) and response.content is not None:
        (media,) = list(response.content.values())
        if isinstance(media.schema, Schema) and media.schema.type is OpenAPIType.NULL:
            response.content = None


def _is_frameworks_own(response: OpenAPIResponse | Reference) -> bool:
    """Whether the response describes the framework's own error form, which this API never sends."""
    content = response.content if isinstance(response, OpenAPIResponse) else None
    return any(not isinstance(media.schema, Reference) for media in (content or {}).values())


def _error(description: str) -> OpenAPIResponse:
    schema = Reference(ref=ERROR_REFERENCE)
    return OpenAPIResponse(description=description, content={MediaType.JSON: OpenAPIMediaType(schema=schema)})
