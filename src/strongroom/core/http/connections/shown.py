"""What an application may do with its client's connection, which ASGI has no word for."""

from collections.abc import Mapping
from typing import Any, Protocol

EXTENSION = "strongroom.connection"
"""The key among a scope's `extensions`."""


class ClientConnection(Protocol):
    def abort(self) -> None:
        """Cuts the connection off at once; what was not sent yet is lost."""


def connection_of(scope: Mapping[str, Any]) -> ClientConnection | None:
    """None: another server than `core.http.listener` runs the application."""
    found: ClientConnection | None = (scope.get("extensions") or {}).get(EXTENSION)
    return found
