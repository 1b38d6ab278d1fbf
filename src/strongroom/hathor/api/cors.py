"""Lets every answer be read from any web page: there the token, or the wallet's id, is the permission.

The framework's own CORS answers a preflight with 204, and speaks only to requests that name an Origin. The original's gateway
answers OPTIONS on any path, known or not, with 200, and puts its headers into every answer: into refusals, into what it
says before any route is found, and into answers to programs. Clients were written against that.
"""

from http import HTTPMethod

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = [
    (b"access-control-allow-origin", b"*"),
    # The star does not stand for Authorization.
    (b"access-control-allow-headers", b"Authorization,Content-Type,X-Api-Key,Strongroom-Amounts,*"),
    (b"access-control-allow-methods", b"GET,POST,PUT,DELETE,OPTIONS"),
]
EXPOSED = (b"access-control-expose-headers", b"X-Request-Id")
"""A page may read the id of its request, which the original's gateway gives in a header of another name."""


class OpenToAllPages:
    """ASGI middleware around the whole application."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def open_to_all(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS, EXPOSED]
            await send(message)

        if scope["type"] == ScopeType.HTTP and scope["method"] == HTTPMethod.OPTIONS:
            await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS]})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        await self._application(scope, receive, open_to_all)
