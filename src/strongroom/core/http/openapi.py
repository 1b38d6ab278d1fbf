"""The OpenAPI document of a surface, and the page that shows it.

The document is made when somebody asks for it: most processes are never asked, and most tests.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from litestar import Litestar, MediaType, Request, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, OpenAPI, SecurityScheme, Tag
from litestar.serialization import encode_json

import strongroom
from strongroom.core.http.route_access import PUBLIC
from strongroom.core.http.swagger import swagger_routes

Complete = Callable[[Litestar], Mapping[str, Any]]
"""Makes the document of an application: what the framework says of its routes, and what it cannot know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Documentation:
    """Where a surface describes itself. Nobody needs a token for it: the document has nothing of anybody."""

    title: str
    document: str
    """The document's path."""
    page: str
    """The page's path."""
    marks: Mapping[str, Any] = field(default_factory=lambda: PUBLIC)
    """The `opt` of the routes, which says that they ask nobody."""

    def config(
        self,
        complete: Complete,
        *,
        description: str,
        schemes: Mapping[str, SecurityScheme],
        security: list[dict[str, list[str]]] | None = None,
        tags: list[Tag] | None = None,
    ) -> OpenAPIConfig:
        """For `Litestar(openapi_config=...)`. `schemes`: how callers identify themselves; `security`: of every route."""
        return OpenAPIConfig(
            title=self.title,
            version=strongroom.__version__,
            description=description,
            openapi_router=Router(
                path=self.document, route_handlers=[], opt=dict(self.marks), include_in_schema=False
            ),
            render_plugins=[LazyDocument(complete)],
            tags=tags,
            components=Components(security_schemes={**schemes}),
            security=security,
        )

    def routes(self) -> list[Any]:
        return swagger_routes(
            page=self.page, title=self.title, document=self.document, marks=dict(self.marks)
        )


def described(describe: Callable[[OpenAPI], None]) -> Complete:
    """The framework's document after `describe` has changed it."""

    def complete(application: Litestar) -> Mapping[str, Any]:
        document = application.openapi_schema
        describe(document)
        return document.to_schema()

    return complete


def bearer(description: str) -> SecurityScheme:
    """A token in the header Authorization. `description`: which one."""
    return SecurityScheme(type="http", scheme="bearer", description=description)


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
