"""The stakes of coldkeys with hotkeys, and the delegates."""

from typing import Any

from strongroom_sandbox.bittensor.execution.dispatch import runtime_api
from strongroom_sandbox.bittensor.pallets.shared import neurons, stakes
from strongroom_sandbox.bittensor.pallets.shared.view import View
from strongroom_sandbox.bittensor.rules.pool import fee_of
from strongroom_sandbox.bittensor.state.storage import Storage

StakePosition = tuple[bytes, int]


@runtime_api("StakeInfoRuntimeApi_get_stake_info_for_hotkey_coldkey_netuid")
def get_stake_info(storage: Storage, hotkey: bytes, coldkey: bytes, netuid: int) -> dict[str, Any]:
    view = View(storage)
    return {
        "hotkey": hotkey,
        "coldkey": coldkey,
        "netuid": netuid,
        "stake": stakes.held(view, hotkey, coldkey, netuid),
        **dict.fromkeys(("locked", "emission", "tao_emission", "drain"), 0),
        "is_registered": neurons.uid_of(view, netuid, hotkey) is not None,
    }


@runtime_api("StakeInfoRuntimeApi_get_stake_info_for_coldkey")
def get_stake_info_for_coldkey(storage: Storage, coldkey: bytes) -> list[dict[str, Any]]:
    view = View(storage)
    found = [
        get_stake_info(storage, hotkey, coldkey, netuid)
        for netuid in neurons.netuids(view)
        for hotkey in view.get("StakingHotkeys", coldkey)
    ]
    return [info for info in found if info["stake"]]


@runtime_api("StakeInfoRuntimeApi_get_stake_info_for_coldkeys")
def get_stake_info_for_coldkeys(
    storage: Storage, coldkeys: list[bytes]
) -> list[tuple[bytes, list[dict[str, Any]]]]:
    return [(coldkey, get_stake_info_for_coldkey(storage, coldkey)) for coldkey in coldkeys]


@runtime_api("StakeInfoRuntimeApi_get_stake_fee")
def get_stake_fee(
    storage: Storage,
    origin: StakePosition | None,
    _origin_coldkey: bytes,
    destination: StakePosition | None,
    _destination_coldkey: bytes,
    amount: int,
) -> int:
    """Roughly the cost of moving stake: the pool's fee."""
    place = destination or origin
    view = View(storage)
    if place is None or origin == destination or not stakes.is_dynamic(view, place[1]):
        return 0
    return fee_of(amount, view.other("Swap").get("FeeRate", place[1]))


@runtime_api("DelegateInfoRuntimeApi_get_delegates")
def get_delegates(storage: Storage) -> list[dict[str, Any]]:
    view = View(storage)
    return [_delegate(view, key[0]) for key, _ in view.entries("Delegates")]


@runtime_api("DelegateInfoRuntimeApi_get_delegate")
def get_delegate(storage: Storage, hotkey: bytes) -> dict[str, Any] | None:
    view = View(storage)
    return _delegate(view, hotkey) if view.contains("Delegates", hotkey) else None


@runtime_api("DelegateInfoRuntimeApi_get_delegated")
def get_delegated(storage: Storage, coldkey: bytes) -> list[tuple[dict[str, Any], tuple[int, int]]]:
    view = View(storage)
    return [
        (_delegate(view, info["hotkey"]), (info["netuid"], info["stake"]))
        for info in get_stake_info_for_coldkey(storage, coldkey)
        if view.contains("Delegates", info["hotkey"])
    ]


def _delegate(view: View, hotkey: bytes) -> dict[str, Any]:
    """Nominators are those who have a share. Returns are nothing here, as no emission is paid."""
    nominated: dict[bytes, list[tuple[int, int]]] = {}
    for (_, coldkey, netuid), _share in view.entries("Alpha", hotkey):
        nominated.setdefault(coldkey, []).append((netuid, stakes.held(view, hotkey, coldkey, netuid)))
    registered = [(netuid, neurons.uid_of(view, netuid, hotkey)) for netuid in neurons.netuids(view)]
    places = [(netuid, uid) for netuid, uid in registered if uid is not None]
    return {
        "delegate_ss58": hotkey,
        "take": view.get("Delegates", hotkey),
        "nominators": list(nominated.items()),
        "owner_ss58": view.get("Owner", hotkey),
        "registrations": [netuid for netuid, _ in places],
        "validator_permits": [netuid for netuid, uid in places if view.get("ValidatorPermit", netuid)[uid]],
        "return_per_1000": 0,
        "total_daily_return": 0,
    }
