"""Parses host names from Host and Origin headers."""

import ipaddress
import re
from typing import NamedTuple, Self

AUTHORITY = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._~-]+)(?::(?P<port>[0-9]{1,5}))?", re.IGNORECASE)
DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_PORT = 65_535


class Authority(NamedTuple):
    """A host such as `wallet.example:8080`; the name is in lower case, without brackets and without a final dot."""

    name: str
    port: int | None
    """None: the scheme's default port."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses a host with or without a port; raises ValueError."""
        found = AUTHORITY.fullmatch(text)
        port = int(found["port"]) if found and found["port"] else None
        name = found["name"].lower().strip("[]").removesuffix(".") if found else ""
        if not name or (port is not None and port > MAX_PORT) or (":" in name and not parse_address(name)):
            raise ValueError(f"must be a host as in wallet.example or wallet.example:8080, not {text!r}")
        return cls(name, port)


class Origin(NamedTuple):
    """The origin of a web page, such as `https://wallet.example:8080`."""

    scheme: str
    name: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses an http or https origin; raises ValueError, also for `null`, the origin of sandboxed pages."""
        scheme, separator, rest = text.partition("://")
        scheme = scheme.lower()
        if not separator or scheme not in DEFAULT_PORTS:
            raise ValueError(f"must be an origin as in https://wallet.example, not {text!r}")
        authority = Authority.parse(rest)
        return cls(scheme, authority.name, authority.port or DEFAULT_PORTS[scheme])

    def is_of(self, host: Authority) -> bool:
        """Whether `host` served a page of this origin. The scheme is not compared, because a proxy may add TLS."""
        return self.name == host.name and self.port == (host.port or DEFAULT_PORTS[self.scheme])


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine itself, so that only this machine reaches a socket that is bound to it."""
    if host == "localhost":
        return True
    address = parse_address(host)
    return address is not None and address.is_loopback


def parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Parses an address; None if it is none. An IPv4 address in IPv6 form (`::ffff:...`) becomes the IPv4 address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
