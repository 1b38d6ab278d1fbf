"""Finds the reach of a call, which rules ask for: its subnets, what leaves the coldkey, where it goes, and the hotkeys it names."""

from dataclasses import dataclass
from typing import Any, Final

from strongroom.bittensor.protocol.calls import Call
from strongroom.bittensor.protocol.errors import ProtocolError
from strongroom.bittensor.protocol.ss58 import encode_address

WEIGHT_CALLS: Final = frozenset(
    f"SubtensorModule.{function}"
    for function in (
        "set_weights",
        "set_mechanism_weights",
        "batch_set_weights",
        "commit_weights",
        "commit_mechanism_weights",
        "batch_commit_weights",
        "reveal_weights",
        "reveal_mechanism_weights",
        "batch_reveal_weights",
        "commit_crv3_weights",
        "commit_crv3_mechanism_weights",
        "commit_timelocked_weights",
        "commit_timelocked_mechanism_weights",
    )
)
PAYS_NOTHING: Final = WEIGHT_CALLS | frozenset(
    f"SubtensorModule.{function}"
    for function in (
        "serve_axon",
        "serve_axon_tls",
        "serve_prometheus",
        "set_children",
        "set_childkey_take",
        "remove_stake",
        "remove_stake_limit",
    )
)
"""These calls take nothing from the coldkey but fees."""
_PAYS: Final = {
    "Balances.transfer_keep_alive": "value",
    "Balances.transfer_allow_death": "value",
    "SubtensorModule.add_stake": "amount_staked",
    "SubtensorModule.add_stake_limit": "amount_staked",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReach:
    """What a call concerns and what it takes from the coldkey."""

    netuids: tuple[int, ...]
    amount_rao: int | None
    """None: the call does not say, for example how much a registration burns."""
    destination: str | None
    """The address that gets the amount."""
    hotkeys: tuple[str, ...] = ()
    """The addresses of the hotkeys that the call names."""


def reach_of(call: Call) -> CallReach:
    """Returns the reach of a call.

    Raises:
        ProtocolError: an argument should be a subnet, an amount or an account, and is not.
    """
    amount: int | None = 0 if call.name in PAYS_NOTHING else None
    if call.name in _PAYS:
        amount = _number(call.arguments.get(_PAYS[call.name]))
    return CallReach(
        netuids=tuple(netuid for name, value in call.arguments.items() for netuid in _netuids(name, value)),
        amount_rao=amount,
        destination=_destination(call.arguments),
        hotkeys=tuple(_address(value) for name, value in call.arguments.items() if name.endswith("hotkey")),
    )


def _netuids(name: str, value: Any) -> tuple[int, ...]:
    """Returns the subnets in an argument: those named `...netuid` have one, `netuids` and `claim_root`'s `subnets` have several."""
    if name in {"netuids", "subnets"}:
        if not isinstance(value, list | tuple):
            raise ProtocolError(f"{name} is not a list")
        return tuple(_number(one) for one in value)
    return (_number(value),) if name.endswith("netuid") and value is not None else ()


def _destination(arguments: dict[str, Any]) -> str | None:
    for name in ("dest", "destination_coldkey", "new_coldkey"):
        if name in arguments:
            return _address(arguments[name])
    return None


def _address(value: Any) -> str:
    """Returns the address of an account, given as this package builds it (32 bytes) or as the codec decodes it (address, hex, `Id`)."""
    if isinstance(value, dict):
        value = next(iter(value.values()), None)
    if isinstance(value, bytes):
        return encode_address(value)
    if isinstance(value, str) and value.startswith("0x"):
        try:
            return encode_address(bytes.fromhex(value[2:]))
        except ValueError:
            raise ProtocolError("The destination is no account") from None
    if isinstance(value, str):
        return value
    raise ProtocolError("The destination is no account")


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ProtocolError("A subnet or an amount is not a number")
    return value
