"""The OpenAPI document of a surface, made when somebody asks for it: most processes are never asked, and most tests."""

from collections.abc import Callable, Mapping
from typing import Any

from litestar import Litestar, MediaType, Request
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.serialization import encode_json

Complete = Callable[[Litestar], Mapping[str, Any]]
"""Makes the document of an application: what the framework says of its routes, and what it cannot know."""


class LazyDocument(JsonRenderPlugin):
    """For `OpenAPIConfig(render_plugins=[...])`."""

    def __init__(self, complete: Complete) -> None:
        super().__init__(path="/", media_type=MediaType.JSON)
        self._complete = complete
        self._body: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        del openapi_schema  # it is not complete
        if self._body is None:
            self._body = encode_json(self._complete(request.app))
        return self._body
