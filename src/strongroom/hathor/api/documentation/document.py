"""Turns operations into an OpenAPI 3.1 document."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

import strongroom
from strongroom.hathor.api.amounts import HEADER, QUERY_KEY, AmountForm
from strongroom.hathor.api.documentation.operation import JSON, Access, Operation
from strongroom.hathor.api.shapes import Failure, GatewayFailure
from strongroom.hathor.api.validation import Key, Schema

Json = dict[str, Any]
TEMPLATE = "#/components/schemas/{name}"
DESCRIPTION = (
    "Wallets of Hathor as hathor-wallet-service serves them. Amounts are whole numbers of the smallest unit; a client whose"
    f" numbers are floats asks for decimal strings with the header `{HEADER}` or the query key `{QUERY_KEY}`."
)
SCHEMES: Json = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "From `POST /auth/token`",
    },
    "apiToken": {"type": "http", "scheme": "bearer", "description": "From `strongroom token create`"},
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}
FORM = {"type": "string", "enum": list(AmountForm)}
FORMS: Json = {
    "amountsHeader": {"name": HEADER, "in": "header", "required": False, "schema": FORM},
    "amountsQuery": {"name": QUERY_KEY, "in": "query", "required": False, "schema": FORM},
}


def openapi_document(title: str, operations: Sequence[Operation]) -> Json:
    types = {operation.answer for operation in operations if operation.answer is not None}
    ordered = sorted(types | {Failure, GatewayFailure}, key=str)
    references, schemas = msgspec.json.schema_components(ordered, ref_template=TEMPLATE)
    known = dict(zip(ordered, references, strict=True))
    paths: dict[str, Json] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, known)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": strongroom.__version__, "description": DESCRIPTION},
        "tags": [{"name": name} for name in dict.fromkeys(operation.tag for operation in operations)],
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": schemas, "securitySchemes": SCHEMES, "parameters": FORMS},
    }


def _operation(operation: Operation, known: Mapping[Any, Json]) -> Json:
    described: Json = {
        "summary": operation.summary,
        "description": f"Access: {operation.access.value}.",
        "operationId": _name(operation),
        "tags": [operation.tag],
        "parameters": list(_parameters(operation)),
        "responses": _responses(operation, known),
        "security": _security(operation.access),
    }
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": _object(operation.body)}}}
    return described


def _name(operation: Operation) -> str:
    words = "".join(letter if letter.isalnum() else " " for letter in operation.path).split()
    return operation.method.lower() + "".join(word[0].upper() + word[1:] for word in words)


def _security(access: Access) -> list[Json]:
    if access is Access.PUBLIC:
        return []
    if access is Access.LEGACY:
        return [{"apiToken": []}, {}]
    return [{"key": []}] if access is Access.KEY else [{"token": []}]


def _parameters(operation: Operation) -> Iterator[Json]:
    for place, schema in (("path", operation.inside), ("query", operation.query)):
        for name, key in schema.keys.items() if schema else ():
            yield {
                "name": f"{name}[]" if key.items else name,
                "in": place,
                "required": key.required,
                "schema": _value(key),
            }
    if operation.amounts:
        yield from ({"$ref": f"#/components/parameters/{name}"} for name in FORMS)


def _value(key: Key) -> Json:
    described = dict(key.check.described) if key.objects is None else _object(key.objects)
    if key.items:
        return {
            "type": "array",
            "items": described,
            "minItems": key.min_items,
            "maxItems": key.max_items,
        }
    return described if key.default is None else described | {"default": key.default}


def _object(schema: Schema) -> Json:
    described: Json = {
        "type": "object",
        "properties": {name: _value(key) for name, key in schema.keys.items()},
        "required": [name for name, key in schema.keys.items() if key.required],
        "additionalProperties": False,
    }
    if schema.together:
        described["dependentRequired"] = {
            name: [other for other in group if other != name] for group in schema.together for name in group
        }
    return described


def _responses(operation: Operation, known: Mapping[Any, Json]) -> Json:
    schema = {"type": "string"} if operation.answer is None else known[operation.answer]
    content = {media: {"schema": schema} for media in operation.media}
    answers: Json = {str(operation.status): {"description": "Done", "content": content}}
    for status, description in sorted({**_usual_errors(operation), **operation.errors}.items()):
        gateway = status == 401 or (status == 403 and operation.access is not Access.PUBLIC)  # noqa: PLR2004 - HTTP
        forms: Iterable[Any] = (GatewayFailure, Failure) if gateway else (Failure,)
        failure = {"anyOf": [known[kind] for kind in forms]}
        answers[str(status)] = {"description": description, "content": {JSON: {"schema": failure}}}
    if operation.query is not None:  # from the HTTP server, when the URL is longer than 64 KiB
        answers["400"]["content"]["text/plain"] = {"schema": {"type": "string"}}
    return answers


def _usual_errors(operation: Operation) -> dict[int, str]:
    found = {503: "The database does not answer: `service-unavailable`"}
    if operation.inside or operation.query or operation.body or operation.amounts:
        found[400] = "`invalid-payload`, with every mistake in `details`"
    if operation.access in {Access.TOKEN, Access.FULL}:
        found[401] = "The token is missing, not valid or no longer"
        found[403] = "The token's signature is not the wallet's" + (
            ", or it is read-only" if operation.access is Access.FULL else ""
        )
    if operation.access is Access.LEGACY:
        found[401] = "An API token is required, or the given one is not valid"
        found[403] = "The API token lacks the scope; or a web page asks, without one"
    if operation.access is Access.KEY:
        found[403] = "The key is missing or wrong"
    return found
