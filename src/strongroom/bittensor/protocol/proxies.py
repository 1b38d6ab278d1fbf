"""Proxies: an account that the chain lets call for another one, and what it may call.

The chain lets a `NonTransfer` proxy call whatever is not on a list of the runtime: it may add further proxies, call in batches, and
carry calls in others. A key here makes none of these. Of each type only the calls that are named below are made, which the filters
of runtimes 293 and 424 all let through. Source: subtensor `runtime/src/lib.rs`, `InstanceFilter<RuntimeCall> for ProxyType`.
"""

import enum
from dataclasses import dataclass
from typing import Final

from strongroom.bittensor.protocol.calls import SUBTENSOR, Call
from strongroom.bittensor.protocol.errors import ProtocolError
from strongroom.bittensor.protocol.ss58 import encode_address


class ProxyType(enum.StrEnum):
    """The types that a key here may have, by the names that the chain gives them."""

    STAKING = "Staking"
    NON_TRANSFER = "NonTransfer"
    REGISTRATION = "Registration"
    CHILD_KEYS = "ChildKeys"


class ProxyForbids(ProtocolError):
    """The call is none that a proxy of this type makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """For whom a key calls, and as what."""

    real: bytes
    """The public key of the account that it calls for."""
    proxy_type: ProxyType

    @property
    def address(self) -> str:
        """The address of the account that it calls for."""
        return encode_address(self.real)

    def __str__(self) -> str:
        return f"{self.proxy_type} proxy of {self.address}"


_STAKING: Final = frozenset(
    {
        "add_stake",
        "add_stake_limit",
        "remove_stake",
        "remove_stake_limit",
        "remove_stake_full_limit",
        "unstake_all",
        "unstake_all_alpha",
        "move_stake",
        "swap_stake",
        "swap_stake_limit",
    }
)
_REGISTRATION: Final = frozenset({"burned_register"})
_CHILD_KEYS: Final = frozenset({"set_children", "set_childkey_take"})
_OTHERS: Final = frozenset(
    {
        "root_register",
        "register_network",
        "register_network_with_identity",
        "start_call",
        "increase_take",
        "decrease_take",
        "set_identity",
        "set_subnet_identity",
        "update_symbol",
        "try_associate_hotkey",
        "set_coldkey_auto_stake_hotkey",
        "set_root_claim_type",
        "claim_root",
        "swap_hotkey",
    }
)
"""Calls of a coldkey that only a NonTransfer proxy may make on every runtime here."""
ALLOWED: Final = {
    ProxyType.STAKING: _STAKING,
    ProxyType.NON_TRANSFER: _STAKING | _REGISTRATION | _CHILD_KEYS | _OTHERS,
    ProxyType.REGISTRATION: _REGISTRATION,
    ProxyType.CHILD_KEYS: _CHILD_KEYS,
}
"""The functions of SubtensorModule that a proxy of each type makes here."""


def require_allowed(delegation: Delegation, call: Call) -> None:
    """Raises: ProxyForbids: a proxy of this type does not make the call; the chain would fail it, or it is none of a coldkey."""
    if call.pallet != SUBTENSOR or call.function not in ALLOWED[delegation.proxy_type]:
        raise ProxyForbids(
            f"The wallet has a {delegation.proxy_type} proxy in place of its coldkey, which does not make {call.name}"
        )


def read_type(text: str) -> ProxyType:
    """Raises: ProtocolError: a key here cannot have this type."""
    try:
        return ProxyType(text)
    except ValueError:
        raise ProtocolError(f"The type of a proxy is one of {', '.join(ProxyType)}, not {text}") from None
