"""What a request carries: a JSON body, a query, and the form of amounts that it asks for."""

import json
from functools import cached_property
from typing import Any

import msgspec
from litestar import Request as LitestarRequest

from strongroom.core.json_decoder import decode_json
from strongroom.hathor.amounts import AmountForm
from strongroom.hathor.api.amounts import QUERY_KEY, amount_form


class Request(LitestarRequest[Any, Any, Any]):
    """A request to the surface for wallets."""

    @cached_property
    def amounts(self) -> AmountForm:
        """Raises: Refusal: it asks for a form that there is not."""
        return amount_form(self)


async def check_amounts(request: LitestarRequest[Any, Any, Any]) -> None:
    """Refuses a form of amounts that there is not, before a route does anything. Raises: Refusal."""
    if isinstance(request, Request):
        _ = request.amounts


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
