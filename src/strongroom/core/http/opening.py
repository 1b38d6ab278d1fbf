"""Serves a surface whose application is not ready yet: answers 503 in the surface's error format until then."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from strongroom.core.http.door import Dialect, Refused

NOT_YET = Refused(
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    code="database_unavailable",
    message="The database does not answer; nothing was signed or changed",
)
KEYS_AWAY = Refused(
    status=HTTPStatus.SERVICE_UNAVAILABLE,
    code="key_backend_unavailable",
    message="What keeps the key-encryption key does not answer; nothing was signed or changed",
)
RETRY_AFTER_S = b"5"
Headers = Sequence[tuple[bytes, bytes]]


class Opening:
    """An ASGI application that answers 503 until it is opened with the real application, and then passes requests on."""

    def __init__(self, dialect: Dialect, headers: Headers = ()) -> None:
        """`headers` are added to every 503."""
        self._dialect = dialect
        self._headers = headers
        self._refused = NOT_YET
        self.application: Any = None

    def wait_for(self, refused: Refused) -> None:
        """Answers this from here on, until it is opened."""
        self._refused = refused

    def open(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.application is not None:
            await self.application(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await receive()
            if "websocket.http.response" not in scope.get("extensions", {}):
                await send({"type": "websocket.close", "code": 1013, "reason": self._refused.code})
                return
        kind = "websocket.http" if scope["type"] == "websocket" else "http"
        headers = [(b"content-type", b"application/json"), (b"retry-after", RETRY_AFTER_S), *self._headers]
        body = self._dialect(scope["path"], self._refused)
        await send(
            {"type": f"{kind}.response.start", "status": self._refused.status.value, "headers": headers}
        )
        await send({"type": f"{kind}.response.body", "body": body, "more_body": False})
