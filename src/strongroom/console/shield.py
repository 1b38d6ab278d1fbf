"""The headers of every answer of the console: what its pages may load, and who may keep or frame them."""

from typing import Any, Final

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    # With no-referrer browsers send forms without their origin, by which they are known.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=()"),
)
CACHE: Final = b"cache-control"


class Shielded:
    """ASGI: around the console. What says nothing about caches is kept in none."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def shielded(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), *HEADERS]
                if all(name.lower() != CACHE for name, _ in headers):
                    headers.append((CACHE, b"no-store"))
                message["headers"] = headers
            await send(message)

        await self._application(scope, receive, shielded)
