"""Builds the calls that set no weights: serving, registration, stake, transfers, children. Amounts are in rao."""

import ipaddress
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

from strongroom.bittensor.protocol.calls import SUBTENSOR, Call
from strongroom.bittensor.protocol.errors import ProtocolError

MAX_U64: Final = 2**64 - 1
MAX_CHILDREN: Final = 5
DEFAULT_PROTOCOL: Final = 4
_DECIMAL: Final = re.compile(r"([0-9]{1,20}(\.[0-9]{0,64})?|\.[0-9]{1,64})([eE][+-]?[0-9]{1,3})?")
"""The exponent is short, because a number with a billion digits would keep the process busy for good."""


def serve_axon(
    netuid: int, ip: str, port: int, *, version: int = 0, protocol: int = DEFAULT_PROTOCOL
) -> Call:
    """Tells the chain where the hotkey's axon is. `ip` is an IPv4 or IPv6 address as text.

    Raises:
        ProtocolError: it is not an address, or there is no such port.
    """
    arguments = _endpoint(netuid, ip, port, version)
    return _subtensor("serve_axon", {**arguments, "protocol": protocol, "placeholder1": 0, "placeholder2": 0})


def serve_prometheus(netuid: int, ip: str, port: int, *, version: int = 0) -> Call:
    """Tells the chain where the hotkey's Prometheus endpoint is; arguments and errors are those of `serve_axon`."""
    return _subtensor("serve_prometheus", _endpoint(netuid, ip, port, version))


def burned_register(netuid: int, hotkey: bytes) -> Call:
    """Registers a hotkey in a subnet. It costs what the subnet burns at the moment."""
    return _subtensor("burned_register", {"netuid": netuid, "hotkey": hotkey})


def add_stake(netuid: int, hotkey: bytes, amount_rao: int) -> Call:
    return _subtensor("add_stake", {"hotkey": hotkey, "netuid": netuid, "amount_staked": _amount(amount_rao)})


def add_stake_limit(
    netuid: int, hotkey: bytes, amount_rao: int, limit_price: int, *, allow_partial: bool
) -> Call:
    """Adds stake while the price is within `limit_price`, the most rao for one alpha."""
    return _subtensor(
        "add_stake_limit",
        {
            "hotkey": hotkey,
            "netuid": netuid,
            "amount_staked": _amount(amount_rao),
            "limit_price": _amount(limit_price),
            "allow_partial": allow_partial,
        },
    )


def remove_stake(netuid: int, hotkey: bytes, amount_alpha: int) -> Call:
    return _subtensor(
        "remove_stake", {"hotkey": hotkey, "netuid": netuid, "amount_unstaked": _amount(amount_alpha)}
    )


def transfer(destination: bytes, amount_rao: int) -> Call:
    """Pays, and leaves the sender its existential deposit; the chain fails a transfer that would not."""
    return Call(
        pallet="Balances",
        function="transfer_keep_alive",
        arguments={"dest": destination, "value": _amount(amount_rao)},
    )


def set_children(netuid: int, hotkey: bytes, children: Sequence[tuple[int, bytes]]) -> Call:
    """Gives parts of a hotkey's stake to children. Each child comes with its share, in parts of 2^64-1.

    Raises:
        ProtocolError: there are too many children, one is there twice or is the hotkey itself, or the shares exceed the whole.
    """
    if len(children) > MAX_CHILDREN:
        raise ProtocolError(f"A hotkey has at most {MAX_CHILDREN} children, not {len(children)}")
    keys = [child for _, child in children]
    if hotkey in keys or len(set(keys)) != len(keys):
        raise ProtocolError("A child is there twice, or is the hotkey itself")
    if sum(share for share, _ in children) > MAX_U64:
        raise ProtocolError("The children's proportions are more than the whole")
    return _subtensor(
        "set_children",
        {"hotkey": hotkey, "netuid": netuid, "children": [[share, child] for share, child in children]},
    )


def share_of(proportion: str) -> int:
    """Returns a share in parts of 2^64-1, rounded down, for a decimal from 0 to 1.

    Raises:
        ProtocolError: the text is not such a number.
    """
    if _DECIMAL.fullmatch(proportion) is None or (fraction := Fraction(proportion)) > 1:
        raise ProtocolError("A proportion is a number from 0 to 1")
    return int(fraction * MAX_U64)


def _endpoint(netuid: int, ip: str, port: int, version: int) -> dict[str, int]:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        raise ProtocolError("The address is neither IPv4 nor IPv6") from None
    if not 1 <= port <= 65_535:  # noqa: PLR2004 - of TCP
        raise ProtocolError("A port is from 1 to 65535")
    return {
        "netuid": netuid,
        "version": version,
        "ip": int(address),
        "port": port,
        "ip_type": address.version,
    }


def _amount(amount: int) -> int:
    if not 1 <= amount <= MAX_U64:
        raise ProtocolError("An amount is from 1 to 2^64-1")
    return amount


def _subtensor(function: str, arguments: dict[str, Any]) -> Call:
    return Call(pallet=SUBTENSOR, function=function, arguments=arguments)
