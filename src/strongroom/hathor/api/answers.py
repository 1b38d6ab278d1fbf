"""What answers are made of: types that msgspec encodes, amounts in the form that the request asks for."""

import json
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from litestar import Litestar, Response
from litestar import Request as AnyRequest
from litestar.response.base import ASGIResponse
from msgspec import Meta

from strongroom.hathor.amounts import AmountForm
from strongroom.hathor.api.requests import Request

T = TypeVar("T")

JSON = "application/json"
Decimal = Annotated[str, Meta(pattern="^-?[0-9]+$")]
Amount = Annotated[
    int | Decimal, Meta(description="Smallest units; a decimal string when `amounts` asks for it")
]
Hash = Annotated[str, Meta(description="64 hexadecimal digits")]
Seconds = Annotated[int, Meta(description="Unix time in seconds")]


class Success(msgspec.Struct, kw_only=True):
    """The first field of every answer that says yes. Names are camelCase on the wire."""

    success: Literal[True] = True


class Done(Success, kw_only=True):
    """An answer without more fields."""


class Answer(Response[T]):
    """A document of ours; or JSON of the node's, in bytes, that has amounts."""

    def to_asgi_response(
        self, app: Litestar | None, request: AnyRequest[Any, Any, Any], **settings: Any
    ) -> ASGIResponse:
        if isinstance(request, Request) and (form := request.amounts) is not AmountForm.NUMBER:
            body: Any = self.content
            answer: Response[Any] = self
            answer.content = form.rewritten(body) if isinstance(body, bytes) else encode_json(body, form)
        return super().to_asgi_response(app, request, **settings)

    def render(self, content: Any, media_type: str, enc_hook: Any = None) -> bytes:
        """Encodes integers of any size, which the framework does not."""
        del media_type, enc_hook
        return content if isinstance(content, bytes) else encode_json(content)


class ProxiedResponse(Response[bytes], Generic[T]):
    """The node's own JSON, a `T`. It passes unchanged: the service does not know which of its numbers are amounts."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body, media_type=JSON)


def encode_json(document: object, form: AmountForm = AmountForm.NUMBER) -> bytes:
    """JSON of a document of ours, amounts in this form."""
    if form is not AmountForm.NUMBER:
        document = form.applied(msgspec.to_builtins(document))
    try:
        return msgspec.json.encode(document)
    except OverflowError:  # a sum of amounts of 2^64 and more
        return json.dumps(msgspec.to_builtins(document), separators=(",", ":")).encode()
