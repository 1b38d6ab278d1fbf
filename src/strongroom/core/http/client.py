"""Who sent a request, as far as the proxies before the service are trusted."""

from dataclasses import replace
from typing import Any

from litestar.connection import ASGIConnection

from strongroom.core.http.connections.shown import certificate_of
from strongroom.core.http.forwarded import TrustedProxies
from strongroom.core.http.requests.named import id_in, identified
from strongroom.core.security.access import Principal
from strongroom.core.security.credentials import Credentials

PAGE_HEADERS = ("origin", "sec-fetch-site")


def client_of(connection: ASGIConnection[Any, Any, Any, Any], proxies: TrustedProxies) -> str:
    """The client's address; an IPv6 one as its network of 64 bits."""
    peer = connection.client.host if connection.client else ""
    return proxies.client(peer, connection.headers.getall("x-forwarded-for", []))


def credentials_of(connection: ASGIConnection[Any, Any, Any, Any], proxies: TrustedProxies) -> Credentials:
    """What the request presents to be identified by.

    A browser presents its certificate for whatever page asks, so that of a page's request does not count.
    """
    is_of_page = any(name in connection.headers for name in PAGE_HEADERS)
    return Credentials(
        authorization=connection.headers.get("authorization"),
        source=client_of(connection, proxies),
        certificate=None if is_of_page else certificate_of(connection.scope),
    )


def with_request(principal: Principal, connection: ASGIConnection[Any, Any, Any, Any]) -> Principal:
    """The principal as whoever sent this request, so that what it does has the request's id."""
    identified(connection.scope, principal.name)
    return replace(principal, request_id=id_in(connection.scope))
