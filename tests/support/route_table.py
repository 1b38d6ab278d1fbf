"""The routes of a surface, as the framework serves them: what a test made from this table cannot miss."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from strongroom.core.http.route_access import SCOPE, is_methods_answer, is_public

PARAMETER = re.compile(r"\{(\w+):\w+\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    method: str
    path: str
    """With its parameters: `/wallets/{name:str}`."""
    handler: HTTPRouteHandler

    @property
    def name(self) -> str:
        return f"{self.method} " + PARAMETER.sub(r"{\1}", self.path)

    @property
    def scope(self) -> str | None:
        """What the route declares; None: nothing."""
        found: str | None = self.handler.opt.get(SCOPE)
        return found

    @property
    def is_public(self) -> bool:
        return is_public(self.handler)

    def path_with(self, values: Mapping[str, str]) -> str:
        return PARAMETER.sub(lambda found: values[found.group(1)], self.path)


def litestar_of(application: Any) -> Litestar:
    """The application with the routes, behind whatever was put in front of it."""
    while not isinstance(application, Litestar):
        names = ("application", "_application")
        application = next(inner for name in names if (inner := getattr(application, name, None)) is not None)
    return application


def operations_of(application: Any) -> list[Operation]:
    """Every method of every path, but the framework's own answer to OPTIONS."""
    return [
        Operation(method=method, path=route.path, handler=handler)
        for route in litestar_of(application).routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if not is_methods_answer(handler)
        for method in sorted(handler.http_methods)
    ]
