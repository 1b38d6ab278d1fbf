"""Gives each request of a surface its id, before anything else of the service sees it."""

from typing import Any

import structlog

from strongroom.core.clock import Entropy
from strongroom.core.http.requests.ids import HEADER, request_id_of
from strongroom.core.http.requests.named import NamedRequest, begin

ANSWERS = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})


class NamedRequests:
    """ASGI: around the door and the application. Every answer has the id in its header, and every line of the log.

    A WebSocket has the id of its handshake.
    """

    def __init__(self, application: Any, entropy: Entropy) -> None:
        self._application = application
        self._entropy = entropy

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = NamedRequest(id=request_id_of(scope["headers"], self._entropy))
        header = (HEADER, request.id.encode())

        async def named(message: Any) -> None:
            if message["type"] in ANSWERS:
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        begin(scope, request)
        structlog.contextvars.bind_contextvars(request_id=request.id)
        await self._application(scope, receive, named)
