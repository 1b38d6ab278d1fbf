"""Who sent a request, as far as the proxies before the service are trusted."""

from typing import Any

from litestar.connection import ASGIConnection

from strongroom.core.http.forwarded import TrustedProxies


def client_of(connection: ASGIConnection[Any, Any, Any, Any], proxies: TrustedProxies) -> str:
    """The client's address; an IPv6 one as its network of 64 bits."""
    peer = connection.client.host if connection.client else ""
    return proxies.client(peer, connection.headers.getall("x-forwarded-for", []))
