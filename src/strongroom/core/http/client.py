"""Who sent a request, as far as the proxies before the service are trusted."""

from typing import Any

from litestar.connection import ASGIConnection

from strongroom.core.http.connections.shown import certificate_of
from strongroom.core.http.forwarded import TrustedProxies
from strongroom.core.security.credentials import Credentials


def client_of(connection: ASGIConnection[Any, Any, Any, Any], proxies: TrustedProxies) -> str:
    """The client's address; an IPv6 one as its network of 64 bits."""
    peer = connection.client.host if connection.client else ""
    return proxies.client(peer, connection.headers.getall("x-forwarded-for", []))


def credentials_of(connection: ASGIConnection[Any, Any, Any, Any], proxies: TrustedProxies) -> Credentials:
    """What the request presents to be identified by."""
    return Credentials(
        authorization=connection.headers.get("authorization"),
        source=client_of(connection, proxies),
        certificate=certificate_of(connection.scope),
    )
