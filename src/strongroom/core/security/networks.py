"""The networks that a token may be used from."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from strongroom.core.errors import InvalidInput

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

CLIENT_BITS = 64
"""One IPv6 client usually has a whole network with a prefix of this length, so the network counts as one client."""
MAX_NETWORKS = 64
CODE = "network_invalid"
ELSEWHERE = "address_not_allowed"
"""The code with which a token is refused that comes from another network than its own."""


def parse_networks(texts: Iterable[str]) -> tuple[str, ...]:
    """The networks in their shortest form, each once, sorted.

    A text is an address or `address/bits`. Nothing is corrected: an address with bits behind the prefix may be a slip for one
    machine or for its network, and whoever wrote it must say which.

    Raises:
        InvalidInput: a text that is no network, a network that no client can come from, or too many.
    """
    networks = sorted({parse_network(text) for text in texts}, key=lambda one: (one.version, one))
    if len(networks) > MAX_NETWORKS:
        raise InvalidInput(f"There are at most {MAX_NETWORKS} networks, not {len(networks)}", code=CODE)
    return tuple(map(str, networks))


def is_within(source: str, networks: Iterable[str]) -> bool:
    """Whether a request came from one of the networks.

    `source` is an address, or the network of one IPv6 client. IPv4 in IPv6 form has been turned into IPv4 before. Anything
    else, as the empty text of a request without an address, is within no network.
    """
    try:
        client = _network(source)
    except ValueError:
        return False
    return any(_contains(_network(text), client) for text in networks)


def parse_network(text: str) -> Network:
    """As `parse_networks`, of one."""
    address, slash, bits = text.strip().partition("/")
    is_plain = "%" not in address and (not slash or (bits.isascii() and bits.isdigit()))
    try:
        network = ipaddress.ip_network(text.strip()) if is_plain else None
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no network: {error}", code=CODE) from None
    if network is None:
        raise InvalidInput(
            f"{text!r} is no network: write an address, or an address/bits such as 192.0.2.0/24", code=CODE
        )
    if isinstance(network, ipaddress.IPv6Network):
        _check_clients(text, network)
    return network


def _check_clients(text: str, network: ipaddress.IPv6Network) -> None:
    if network.network_address.ipv4_mapped is not None:
        raise InvalidInput(f"No client comes from {text!r}: write it as a network of IPv4", code=CODE)
    if network.prefixlen > CLIENT_BITS:
        raise InvalidInput(f"An IPv6 client has a whole /{CLIENT_BITS}, and {text!r} is less", code=CODE)


def _contains(outer: Network, inner: Network) -> bool:
    if isinstance(inner, ipaddress.IPv4Network):
        return isinstance(outer, ipaddress.IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, ipaddress.IPv6Network) and inner.subnet_of(outer)


@lru_cache(maxsize=4096)
def _network(text: str) -> Network:
    return ipaddress.ip_network(text)
