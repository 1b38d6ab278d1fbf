"""Answers without a body."""

from http import HTTPStatus
from typing import Any

from litestar import Litestar, Request, Response
from litestar.response.base import ASGIResponse


class _Empty(Response[Any]):
    """Not even `null`, and so of no type: as the original answers."""

    def to_asgi_response(
        self, app: Litestar | None, request: Request[Any, Any, Any], **settings: Any
    ) -> ASGIResponse:
        response = super().to_asgi_response(app, request, **settings)
        del response.headers["content-type"]
        return response


def empty(status: HTTPStatus = HTTPStatus.OK) -> Response[Any]:
    return _Empty(b"", status_code=status)
