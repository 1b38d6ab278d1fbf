"""Closes a client's connection without an answer, for which ASGI has no message."""

from litestar.types import Receive, Scope

from strongroom.core.http.connections.shown import connection_of


async def abort(scope: Scope, receive: Receive) -> None:
    """Resets the connection and returns when it is gone.

    Raises:
        RuntimeError: the server does not show its connections.
    """
    connection = connection_of(scope)
    if connection is None:
        raise RuntimeError("Connections can be dropped under the service's own listener only")
    connection.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
