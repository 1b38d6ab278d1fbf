"""The OpenAPI document and its page."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Tag

from strongroom.admin.api.errors import PROBLEM, Problem
from strongroom.core.http.openapi import Documentation, bearer

DOCUMENTATION: Final = Documentation(
    title="Strongroom admin API", document="/admin/v1/openapi.json", page="/admin/v1/docs"
)
REFERENCE: Final = "#/components/schemas/{name}"
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
    return DOCUMENTATION.config(
        _complete,
        description=(
            "Tokens, rules, freezes, payments and the audit trail of every ledger. Every call needs a token with the scope `admin` or a"
            " narrower one, which is valid for the ledgers in whose databases it stands. Amounts are text."
        ),
        tags=[
            Tag(name="Ledgers", description="Who the caller is, and which ledgers there are."),
            Tag(name="Tokens", description="Who may do what."),
            Tag(name="Rules", description="What is signed."),
            Tag(name="Approvals", description="What waits for people."),
            Tag(name="Freezes", description="What is not signed now."),
            Tag(name="Payments", description="What was signed."),
            Tag(name="Audit", description="Who did what."),
        ],
        schemes={"token": bearer("A token with a scope of the admin API")},
        security=[{"token": []}],
    )


def _complete(application: Litestar) -> Mapping[str, Any]:
    """With problems in place of the framework's own form of errors, which this surface never sends."""
    document = application.openapi_schema.to_schema()
    (problem,), schemas = msgspec.json.schema_components([Problem], ref_template=REFERENCE)
    document["components"]["schemas"] |= schemas
    refusals = {
        status: {"description": description, "content": {PROBLEM: {"schema": problem}}}
        for status, description in REFUSALS.items()
    }
    for item in document["paths"].values():
        for operation in item.values():
            operation["responses"] = dict(sorted((operation["responses"] | refusals).items()))
    document["paths"] = dict(sorted(document["paths"].items()))
    return document
