"""Gives an application access to its client's connection, for which ASGI has no message."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, Protocol

EXTENSION = "strongroom.connection"
"""The key of the connection in a scope's `extensions`."""


class ClientConnection(Protocol):
    """The client's connection, as an application may use it."""

    @property
    def certificate(self) -> bytes | None:
        """The client's certificate (DER), which the handshake has checked; None: it has presented none."""

    def abort(self) -> None:
        """Closes the connection at once; data that is not sent yet is lost."""


def connection_of(scope: Mapping[str, Any]) -> ClientConnection | None:
    """The connection of a request; None if another server than `core.http.listener` runs the application."""
    found: ClientConnection | None = (scope.get("extensions") or {}).get(EXTENSION)
    return found


def certificate_of(scope: Mapping[str, Any]) -> bytes | None:
    """The client's certificate of a request's connection. No header is asked: anybody can write one."""
    connection = connection_of(scope)
    return None if connection is None else connection.certificate


def peer_certificate(transport: asyncio.Transport) -> bytes | None:
    connection: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    return None if connection is None else connection.getpeercert(binary_form=True)
