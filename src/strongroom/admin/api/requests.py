"""Gives each request an id, and keeps its answer out of caches: some have secrets."""

from typing import Any, Final

from strongroom.core.clock import Entropy

ID_BYTES: Final = 8
HEADER: Final = b"x-request-id"


class NamedRequests:
    """ASGI: around the application. The id is in `scope["request_id"]`, in the answer's headers and in the audit trail."""

    def __init__(self, application: Any, entropy: Entropy) -> None:
        self._application = application
        self._entropy = entropy

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request_id = self._entropy.token(ID_BYTES).hex()
        scope["request_id"] = request_id
        headers = [(HEADER, request_id.encode()), (b"cache-control", b"no-store")]

        async def named(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        await self._application(scope, receive, named)
