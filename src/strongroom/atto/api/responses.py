"""Answers without a body."""

from http import HTTPStatus
from typing import Any

from litestar import Response


def empty(status: HTTPStatus = HTTPStatus.OK) -> Response[Any]:
    """Not even `null`: as the original answers."""
    return Response(b"", status_code=status)
