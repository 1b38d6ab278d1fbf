"""Closing a client's connection without an answer, which ASGI has no word for."""

from typing import Protocol, cast

from litestar.types import Receive, Scope, Send

_TRANSPORT = "strongroom.transport"


class Transport(Protocol):
    """What is used of `asyncio.Transport`."""

    def abort(self) -> None: ...
    def is_closing(self) -> bool: ...


def remember_transport(scope: Scope, send: Send) -> Transport | None:
    """Notes the connection in the scope, for `abort`. None under a server that does not show it.

    Under uvicorn `send` is a method of the object that owns the connection.
    """
    transport = cast("Transport | None", getattr(getattr(send, "__self__", None), "transport", None))
    cast("dict[str, object]", scope)[_TRANSPORT] = transport
    return transport


async def abort(scope: Scope, receive: Receive) -> None:
    """Resets the connection and returns when it is gone.

    Raises:
        RuntimeError: the server does not show its connections.
    """
    transport = cast("dict[str, object]", scope).get(_TRANSPORT)
    if transport is None:
        raise RuntimeError("Connections can be dropped under uvicorn only")
    cast("Transport", transport).abort()
    while (await receive())["type"] != "http.disconnect":
        pass
