"""Shapes of the node's answers, and what its routes have in common."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated

from litestar import Response
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from strongroom_sandbox.atto.node.node import Node
from strongroom_sandbox.atto.streaming.ndjson import NDJSON, NdjsonResponse
from strongroom_sandbox.atto.streaming.streams import Stream

JSON = "application/json"
NodeDependency = NamedDependency[Node]
FromHeight = Annotated[int, QueryParameter(name="fromHeight")]
ToHeight = Annotated[int, QueryParameter(name="toHeight")]


def json_response(document: bytes | None) -> Response[bytes]:
    """The document, or an empty 404 without one."""
    if document is None:
        return Response(content=b"", status_code=HTTPStatus.NOT_FOUND, media_type=JSON)
    return Response(content=document, status_code=HTTPStatus.OK, media_type=JSON)


def json_array(documents: Iterable[bytes]) -> Response[bytes]:
    return json_response(b"[" + b",".join(documents) + b"]")


def ndjson_response(lines: bytes) -> Response[bytes]:
    return Response(content=lines, status_code=HTTPStatus.OK, media_type=NDJSON)


def stream_response(node: Node, stream: Stream) -> NdjsonResponse:
    return NdjsonResponse(node.hub.streams, stream)
