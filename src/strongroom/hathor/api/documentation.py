"""The OpenAPI document of the surface: the framework's, with what routes say of themselves in `opt`, and the refusals."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import SecurityScheme
from litestar.routes import HTTPRoute

from strongroom.core.http.openapi import Complete, Documentation, bearer
from strongroom.hathor.amounts import AmountForm
from strongroom.hathor.api.amounts import HEADER, QUERY_KEY
from strongroom.hathor.api.answers import JSON
from strongroom.hathor.api.refusal import Failure, GatewayFailure
from strongroom.hathor.api.terms import PUBLIC, Access, Terms, terms_of
from strongroom.hathor.api.validation import Key, Schema
from strongroom.hathor.api.wallets.registration import RegistrationRules

Json = dict[str, Any]

DOCUMENTATION = Documentation(title="Hathor wallet service API", document="/api-docs", page="/", marks=PUBLIC)
DESCRIPTION = (
    "Wallets of Hathor as hathor-wallet-service serves them. Amounts are whole numbers of the smallest unit; a client whose"
    f" numbers are floats asks for decimal strings with the header `{HEADER}` or the query key `{QUERY_KEY}`."
)
SECURITY: dict[Access, list[Json]] = {
    Access.PUBLIC: [],
    Access.TOKEN: [{"token": []}],
    Access.FULL: [{"token": []}],
    Access.KEY: [{"key": []}],
    Access.LEGACY: [{"apiToken": []}, {}],
    Access.NOBODY: [],
}
FORM = {"type": "string", "enum": list(AmountForm)}
FORMS: Json = {
    "amountsHeader": {"name": HEADER, "in": "header", "required": False, "schema": FORM},
    "amountsQuery": {"name": QUERY_KEY, "in": "query", "required": False, "schema": FORM},
}


def openapi_config(rules: RegistrationRules) -> OpenAPIConfig:
    """`rules`: the bodies of registrations depend on them."""
    return DOCUMENTATION.config(
        _complete(rules),
        description=DESCRIPTION,
        schemes={
            "token": SecurityScheme(
                type="http", scheme="bearer", bearer_format="JWT", description="From `POST /auth/token`"
            ),
            "apiToken": bearer("From `strongroom token create`"),
            "key": SecurityScheme(type="apiKey", security_scheme_in="header", name="x-api-key"),
        },
    )


def _complete(rules: RegistrationRules) -> Complete:
    def complete(application: Litestar) -> Json:
        document: Json = application.openapi_schema.to_schema()
        for path, method, handler in _described(application):
            _complete_operation(document["paths"][path][method], handler, path, rules)
        document["paths"] = dict(sorted(document["paths"].items()))
        document["components"]["parameters"] = FORMS
        for schema in document["components"]["schemas"].values():
            _require_success(schema)
        return document

    return complete


def _described(application: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    for route in application.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if handler.resolve_include_in_schema():
                    yield route.path_format, method.lower(), handler


def _complete_operation(
    operation: Json, handler: HTTPRouteHandler, path: str, rules: RegistrationRules
) -> None:
    terms = terms_of(handler)
    access = terms.access
    words = "".join(letter if letter.isalnum() else " " for letter in path).split()
    method = next(iter(handler.http_methods)).lower()
    operation["operationId"] = method + "".join(word[0].upper() + word[1:] for word in words)
    operation["description"] = f"Access: {access.value}."
    operation["security"] = SECURITY[access]
    operation["parameters"] = list(_parameters(terms))
    if terms.body is not None:
        body = terms.body if isinstance(terms.body, Schema) else terms.body(rules)
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": _object(body)}}}
    told = {status: spec.description for status, spec in (handler.responses or {}).items()}
    refusals = {**_usual_refusals(terms), **told}
    done = operation["responses"][str(handler.status_code)]
    done["description"] = "Done"
    if terms.text:
        done["content"] = {media: {"schema": {"type": "string"}} for media in terms.text}
    operation["responses"] = {str(handler.status_code): done} | {
        str(status): _refusal(status, description, access) for status, description in sorted(refusals.items())
    }
    if terms.query is not None:  # from the HTTP server, when the URL is longer than 64 KiB
        operation["responses"]["400"]["content"]["text/plain"] = {"schema": {"type": "string"}}


def _usual_refusals(terms: Terms) -> dict[int, str]:
    access = terms.access
    found = {503: "The database does not answer: `service-unavailable`"}
    if terms.path or terms.query or terms.body or terms.amounts:
        found[400] = "`invalid-payload`, with every mistake in `details`"
    if access in {Access.TOKEN, Access.FULL}:
        found[401] = "The token is missing, not valid or no longer"
        read_only = ", or it is read-only" if access is Access.FULL else ""
        found[403] = f"The token's signature is not the wallet's{read_only}"
    if access is Access.LEGACY:
        found[401] = "An API token is required, or the given one is not valid"
        found[403] = "The API token lacks the scope; or a web page asks, without one"
    if access is Access.KEY:
        found[403] = "The key is missing or wrong"
    return found


def _refusal(status: int, description: str, access: Access) -> Json:
    gateway = status == HTTPStatus.UNAUTHORIZED or (
        status == HTTPStatus.FORBIDDEN and access is not Access.PUBLIC
    )
    forms = [GatewayFailure, Failure] if gateway else [Failure]
    schema = {"anyOf": [{"$ref": f"#/components/schemas/{form.__name__}"} for form in forms]}
    return {"description": description, "content": {JSON: {"schema": schema}}}


def _parameters(terms: Terms) -> Iterator[Json]:
    for place, schema in (("path", terms.path), ("query", terms.query)):
        for name, key in schema.keys.items() if schema else ():
            yield {
                "name": f"{name}[]" if key.items else name,
                "in": place,
                "required": key.required,
                "schema": _value(key),
            }
    if terms.amounts:
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


def _require_success(schema: Json) -> None:
    """The framework terms what has a default for optional; of an answer it is always told."""
    if schema.get("properties", {}).get("success", {}).get("const") is True:
        schema["required"] = ["success", *(name for name in schema.get("required", []) if name != "success")]
