"""What a request carries: a JSON body, a query, a caller; and how an answer is written."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request as LitestarRequest
from litestar import Response

from strongroom.core.errors import Forbidden, Unauthenticated
from strongroom.core.json_decoder import decode_json
from strongroom.hathor.api.amounts import QUERY_KEY
from strongroom.hathor.api.refusal import forbidden_route, unauthorized
from strongroom.hathor.wallets.jwt import Mode, Principal, Tokens

Request = LitestarRequest[Any, Any, Any]
MAX_INTEGER = 2**64


async def read_body(request: Request) -> object:
    """The decoded body; None when it is no JSON, which the schema then refuses."""
    body = await request.body()
    try:
        decoded: object = decode_json(body)
    except msgspec.DecodeError as error:
        return _with_infinities(body) if "out of range" in str(error) else None
    return decoded


def _with_infinities(body: bytes) -> object:
    """JavaScript reads `1e999` as infinity."""
    try:
        decoded: object = json.loads(body.decode(), parse_constant=_refuse)  # noqa: TID251 - its depth was checked
    except ValueError:
        return None
    return decoded


def _refuse(constant: str) -> object:
    raise ValueError(constant)


def read_query(request: Request) -> dict[str, Any]:
    """The query by key, in its order, but for what every route knows; of a repeated key the last value."""
    return {key: value for key, value in request.query_params.items() if key != QUERY_KEY}


def bearer(request: Request, tokens: Tokens, *, full: bool) -> Principal:
    """The caller; `full` for routes that a read-only token does not open.

    Raises:
        GatewayRefusal: 401 or 403.
    """
    header = request.headers.get("authorization", "")
    token = header[7:].strip() if header[:7].lower() == "bearer " else header
    try:
        principal = tokens.verify(token)
    except Unauthenticated as error:
        raise unauthorized() from error
    except Forbidden as error:
        raise forbidden_route() from error
    if full and principal.mode is Mode.READ_ONLY:
        raise forbidden_route()
    return principal


def answer(**body: object) -> Response[bytes]:
    """200 `{"success": true, ...}`."""
    return written({"success": True, **body}, 200)


def written(body: Mapping[str, object], status: int) -> Response[bytes]:
    return Response(encode_json(body), status_code=status, media_type="application/json")


class ProxiedResponse(Response[bytes]):
    """An answer whose numbers are not ours to tell from amounts."""


def passed_on(body: bytes, *, has_amounts: bool = False) -> Response[bytes]:
    """200 with the node's own JSON."""
    kind = Response if has_amounts else ProxiedResponse
    return kind(body, status_code=200, media_type="application/json")


def encode_json(body: Mapping[str, object]) -> bytes:
    try:
        return msgspec.json.encode(body)
    except OverflowError:  # a sum of amounts of 2^64 and more
        return json.dumps(body, separators=(",", ":")).encode()
