"""Where a URL that somebody gave the service may lead.

The host is checked twice: its text when the URL is given, and its address at each connection, after the name was resolved. The
address that was checked is the address that is connected, so that a name that resolves anew leads nowhere else.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from strongroom.core.errors import InvalidInput

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CODE: Final = "url_invalid"
MAX_URL: Final = 2_000
WEB_PORTS: Final = frozenset({80, 443})
FIRST_FREE_PORT: Final = 1024
"""Below it, other services than web servers listen."""
MAX_PORT: Final = 65_535
_CLOSED_V4: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # of providers' own translation, and metadata services
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a metadata service
        "169.254.0.0/16",  # link-local, and metadata services
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocols
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # measurements
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_OPEN_V6: Final = ipaddress.IPv6Network("2000::/3")
"""All that is given out. Mapped and translated IPv4, unique local, link-local and multicast addresses are outside."""
_CLOSED_V6: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocols, such as Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: it leads to any IPv4 address
        "3fff::/20",  # documentation
    )
)
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PLAIN: Final = re.compile(r"[!-\[\]-~]+")
"""ASCII that is printed, without spaces and the backslash, which programs read differently."""


class AddressRefused(OSError):
    """The host leads to an address that is not public, and the operator has not allowed its network."""

    TEXT: ClassVar[str] = "the host leads to an address that is not public"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Where such URLs may lead."""

    networks: tuple[Network, ...] = ()
    """Networks that the operator allows besides the public ones."""
    allows_http: bool = False
    """Without it, https alone."""

    def admits(self, address: Address) -> bool:
        if any(address.version == one.version and address in one for one in self.networks):
            return True
        if isinstance(address, ipaddress.IPv4Address):
            return not any(address in one for one in _CLOSED_V4)
        return address in _OPEN_V6 and not any(address in one for one in _CLOSED_V6)

    def check(self, socket_address: tuple[Any, ...]) -> None:
        """Of a connection that is about to be made. Raises: AddressRefused."""
        address = ipaddress.ip_address(str(socket_address[0]).partition("%")[0])
        if not self.admits(address):
            raise AddressRefused(AddressRefused.TEXT)

    def check_url(self, url: str) -> "WebUrl":
        """Raises: InvalidInput: it is no such URL, or leads where it must not."""
        found = parse_url(url)
        if found.scheme != "https" and not self.allows_http:
            raise InvalidInput("The URL begins with https://", code=CODE)
        if found.address is not None and not self.admits(found.address):
            raise InvalidInput(
                f"{found.address} is not public, and no allowed network has it", code="url_not_public"
            )
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class WebUrl:
    """A URL whose parts are clear to every program."""

    text: str
    scheme: str
    host: str
    address: Address | None
    """The host, if it is an address."""
    port: int | None

    @property
    def shown(self) -> str:
        """Without the path and the query, which often hold a secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port is None else f":{self.port}") + "/…"


def parse_url(url: str) -> WebUrl:
    """An http or https URL without user, password and fragment.

    Raises:
        InvalidInput: it is none. The message does not repeat it, because it may hold a secret.
    """
    if len(url) > MAX_URL or not _PLAIN.fullmatch(url):
        raise InvalidInput(
            f"A URL has 1 to {MAX_URL} printable ASCII characters without spaces; a name with others is written xn--…",
            code=CODE,
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InvalidInput("The URL cannot be read", code=CODE) from None
    if parts.scheme not in {"http", "https"}:
        raise InvalidInput("The URL begins with https:// or http://", code=CODE)
    if "@" in parts.netloc:
        raise InvalidInput("The URL has no user and no password", code=CODE)
    if "#" in url:
        raise InvalidInput("The URL has no fragment: receivers would not see it", code=CODE)
    if port is not None and port not in WEB_PORTS and not FIRST_FREE_PORT <= port <= MAX_PORT:
        raise InvalidInput("The port is 80, 443, or 1024 to 65535", code=CODE)
    return WebUrl(text=url, scheme=parts.scheme, host=host, address=_address(host, parts.netloc), port=port)


def shown_url(url: str) -> str:
    """Of any URL, also one that no endpoint may have: without user, path and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/…"


def shown_place(url: str) -> str:
    """Of a URL in the settings, for people: without user, path and query, which an operator may show to others unawares."""
    parts = urlsplit(url)
    hidden = "/…" if parts.path.strip("/") or parts.query else ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{hidden}"


def parse_reach_network(text: str) -> Network:
    """Raises: ValueError: it is no network, or an address with bits behind the prefix."""
    return ipaddress.ip_network(text.strip())


def parse_reach_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    return tuple(parse_reach_network(text) for text in sorted(texts))


def _address(host: str, netloc: str) -> Address | None:
    """The address that the host is, None if it is a name.

    Raises:
        InvalidInput: it is neither; such as 2130706433, 0x7f.1 and 0177.0.0.1, which programs read as addresses.
    """
    if netloc.startswith("["):
        try:
            return ipaddress.IPv6Address(host) if "%" not in host else _no_host()
        except ValueError:
            _no_host()
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        try:
            return ipaddress.IPv4Address(host)
        except ValueError:
            _no_host()
    if not _NAME.fullmatch(host):
        _no_host()
    return None


def _no_host() -> Any:
    raise InvalidInput("The host of the URL is neither a name nor an address", code=CODE)
