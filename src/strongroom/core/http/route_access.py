"""What a route asks of its callers: a scope, or nothing.

Each route declares it in its `opt`. The surface's guard keeps it before the body is read, and the tests read it from the table of
routes. A route that declares nothing is open to nobody.
"""

from http import HTTPMethod
from typing import Any, Final

from litestar.handlers import BaseRouteHandler

from strongroom.core.errors import Forbidden
from strongroom.core.security.access import Principal

PUBLIC: Final = {"public": True}
"""The `opt` of a route that asks nobody who calls."""
SCOPE: Final = "scope"


def needs(scope: str) -> dict[str, Any]:
    """The `opt` of a route whose callers need this scope."""
    return {SCOPE: scope}


def is_public(handler: BaseRouteHandler) -> bool:
    return bool(handler.opt.get("public"))


def require_declared_scope(principal: Principal, handler: BaseRouteHandler) -> None:
    """Checks that the principal has the scope that the route declares.

    Raises:
        Forbidden: it has not, or the route declares none.
    """
    scope: str | None = handler.opt.get(SCOPE)
    if scope is not None:
        principal.require(scope)
    elif not is_methods_answer(handler):
        raise Forbidden("The route is open to nobody: it declares no scope", code="route_closed")


def is_methods_answer(handler: BaseRouteHandler) -> bool:
    """Whether this is the framework's own answer to OPTIONS, which names the methods of a path."""
    return (
        getattr(handler, "http_methods", None) == {HTTPMethod.OPTIONS}
        and handler.handler_name == "options_handler"
    )
