"""Answers without a body."""

from http import HTTPStatus
from typing import Any

from litestar import Litestar, Request, Response
from litestar.response.base import ASGIResponse


class _Empty(Response[Any]):
    """An answer with an empty body, not `null`, and so without a content type; the original server answers like this."""

    def to_asgi_response(
        self, app: Litestar | None, request: Request[Any, Any, Any], **settings: Any
    ) -> ASGIResponse:
        response = super().to_asgi_response(app, request, **settings)
        del response.headers["content-type"]
        return response


def empty(status: HTTPStatus = HTTPStatus.OK) -> Response[Any]:
    return _Empty(b"", status_code=status)
