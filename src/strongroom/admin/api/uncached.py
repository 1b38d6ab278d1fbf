"""Keeps answers out of caches: some have secrets."""

from typing import Any


class Uncached:
    """ASGI: around the application."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def uncached(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"cache-control", b"no-store")]
            await send(message)

        await self._application(scope, receive, uncached)
