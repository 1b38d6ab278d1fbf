"""Gives an application access to its client's connection, for which ASGI has no message."""

from collections.abc import Mapping
from typing import Any, Protocol

EXTENSION = "strongroom.connection"
"""The key of the connection in a scope's `extensions`."""


class ClientConnection(Protocol):
    """The client's connection, as an application may use it."""

    def abort(self) -> None:
        """Closes the connection at once; data that is not sent yet is lost."""


def connection_of(scope: Mapping[str, Any]) -> ClientConnection | None:
    """The connection of a request; None if another server than `core.http.listener` runs the application."""
    found: ClientConnection | None = (scope.get("extensions") or {}).get(EXTENSION)
    return found
