"""What a request presents so that the service can find out who asks."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What one request, or one connection, presents. The repr hides what is secret."""

    authorization: str | None = field(default=None, repr=False)
    """The Authorization header; None if the request has none."""
    source: str = ""
    """The client's address behind the trusted proxies, or the network of 64 bits that one IPv6 client has; empty: the request
    came from no network."""
    certificate: bytes | None = field(default=None, repr=False)
    """The client certificate of the connection (DER), which its private key proved; None: the connection has none."""
