"""What a request carries: its caller, a JSON body, a query, and the form of amounts that it asks for."""

import json
from typing import Any

import msgspec
from litestar import Request as LitestarRequest

from strongroom.core.json_decoder import decode_json
from strongroom.core.security.access import Principal
from strongroom.hathor.amounts import AmountForm
from strongroom.hathor.api.access import Caller
from strongroom.hathor.api.amounts import QUERY_KEY


class Request(LitestarRequest[Any, Any, Any]):
    """A request to the surface for wallets."""

    caller: Caller
    """On routes that want a token."""

    holder: Principal
    """On routes of the first API: who holds the API token, or anonymous."""

    amounts: AmountForm
    """In which its answer is written."""


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
