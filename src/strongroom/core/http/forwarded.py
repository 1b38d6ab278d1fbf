"""Finds the address of a client behind proxies. Only entries of X-Forwarded-For by trusted proxies count; others may be forged."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from strongroom.core.security.networks import CLIENT_BITS, Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_PROXIES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedProxies:
    """The trusted proxies: their number in front of the service, or their networks. By default none is trusted."""

    count: int = 0
    networks: tuple[Network, ...] = ()

    def client(self, peer: str, forwarded: Sequence[str]) -> str:
        """The client's address, for IPv6 its network.

        `peer` is the other end of the connection; `forwarded` are the values of all X-Forwarded-For headers, in order.
        """
        hops = [*",".join(forwarded).split(","), peer] if forwarded else [peer]
        hops = hops[-MAX_PROXIES - 1 :]
        client = peer
        for passed, hop in enumerate(reversed(hops)):
            address = _parse(hop)
            if address is None:
                break  # none of our proxies wrote this entry
            client = _name(address)
            if passed >= self.count and not self._knows(address):
                break
        return client

    def client_beside(self, peer: str) -> str | None:
        """The address of a peer that is itself a client; None if it is a proxy of many clients."""
        address = _parse(peer)
        if self.count or (address is not None and self._knows(address)):
            return None
        return peer if address is None else _name(address)

    def _knows(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def parse_proxies(text: str) -> TrustedProxies:
    """Parses a number such as `2`, or networks and addresses separated by commas; raises ValueError."""
    if text.strip().isdigit():
        count = int(text)
        if count > MAX_PROXIES:
            raise ValueError(f"at most {MAX_PROXIES} proxies, not {count}")
        return TrustedProxies(count=count)
    networks = tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    return TrustedProxies(networks=networks)


def _parse(hop: str) -> Address | None:
    """Parses an address as proxies write it: with or without a port, IPv6 with or without brackets; None if it is none."""
    text = hop.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def _name(address: Address) -> str:
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((address, CLIENT_BITS), strict=False))
