"""The neurons of a subnet: which hotkey has which uid."""

from typing import Any

from strongroom_sandbox.bittensor.pallets.shared.view import Pallet, View

MECHANISM_SPAN = 4096

# What a new uid adds to each of the subnet's vectors; items that a runtime does not have are passed over.
_NEW_NEURON: dict[str, Any] = {
    **dict.fromkeys(("Rank", "Trust", "Emission", "Consensus", "Incentive", "Dividends", "PruningScores"), 0),
    "ValidatorTrust": 0,
    "Active": True,
    "ValidatorPermit": False,
}
_CLEARED = ("Emission", "Trust", "Consensus", "Incentive", "Dividends")


def exists(view: View, netuid: int) -> bool:
    return bool(view.get("NetworksAdded", netuid))


def netuids(view: View) -> list[int]:
    """Returns all subnets in order, with the root network."""
    return sorted(key[0] for key, added in view.entries("NetworksAdded") if added)


def uid_of(view: View, netuid: int, hotkey: bytes) -> int | None:
    uid: int | None = view.get("Uids", netuid, hotkey)
    return uid


def registered_uid(view: View, netuid: int, hotkey: bytes) -> int:
    """Raises: DispatchError: HotKeyNotRegisteredInSubNet."""
    uid = uid_of(view, netuid, hotkey)
    if uid is None:
        raise view.error("HotKeyNotRegisteredInSubNet")
    return uid


def is_member_anywhere(view: View, hotkey: bytes) -> bool:
    return any(member for _, member in view.entries("IsNetworkMember", hotkey))


def hotkey_of(view: View, netuid: int, uid: int) -> bytes:
    hotkey: bytes = view.get("Keys", netuid, uid)
    return hotkey


def hotkeys(view: View, netuid: int) -> list[bytes]:
    """Returns the hotkeys by uid."""
    return [hotkey_of(view, netuid, uid) for uid in range(view.get("SubnetworkN", netuid))]


def last_update(view: View, index: int, uid: int) -> int:
    updates = view.get("LastUpdate", index)
    return int(updates[uid]) if uid < len(updates) else 0


def set_last_update(pallet: Pallet, index: int, uid: int) -> None:
    updates = list(pallet.get("LastUpdate", index))
    if uid < len(updates):
        updates[uid] = pallet.block
        pallet.put("LastUpdate", index, value=updates)


def create_account(pallet: Pallet, coldkey: bytes, hotkey: bytes) -> None:
    """Makes `coldkey` the owner of a hotkey that has none."""
    if pallet.contains("Owner", hotkey):
        return
    pallet.put("Owner", hotkey, value=coldkey)
    for item in ("OwnedHotkeys", "StakingHotkeys"):
        keys = list(pallet.get(item, coldkey))
        if hotkey not in keys:
            pallet.put(item, coldkey, value=[*keys, hotkey])


def owns(view: View, coldkey: bytes, hotkey: bytes) -> bool:
    return bool(view.get("Owner", hotkey) == coldkey)


def append(pallet: Pallet, netuid: int, hotkey: bytes) -> int:
    """Gives `hotkey` the next uid."""
    uid = int(pallet.get("SubnetworkN", netuid))
    pallet.put("SubnetworkN", netuid, value=uid + 1)
    for item, value in _NEW_NEURON.items():
        if pallet.has_item(item):
            pallet.put(item, netuid, value=[*pallet.get(item, netuid), value])
    for index in _indexes(pallet, netuid):
        pallet.put("LastUpdate", index, value=[*pallet.get("LastUpdate", index), pallet.block])
    _settle(pallet, netuid, uid, hotkey)
    return uid


def replace(pallet: Pallet, netuid: int, uid: int, hotkey: bytes) -> None:
    """Gives `uid` to another hotkey."""
    old = pallet.get("Keys", netuid, uid)
    pallet.remove("Uids", netuid, old)
    pallet.remove("IsNetworkMember", old, netuid)
    for item in ("Axons", "NeuronCertificates", "Prometheus"):
        pallet.remove(item, netuid, old)
    for item in _CLEARED:
        values = list(pallet.get(item, netuid)) if pallet.has_item(item) else []
        if uid < len(values):
            values[uid] = 0
            pallet.put(item, netuid, value=values)
    pallet.remove("Bonds", netuid, uid)
    _settle(pallet, netuid, uid, hotkey)


def to_prune(view: View, netuid: int) -> int:
    """Returns the uid that a new neuron takes: the lowest score among those not immune, else among all; never the owner's."""
    period, owner = view.get("ImmunityPeriod", netuid), view.get("SubnetOwnerHotkey", netuid)
    scores = view.get("PruningScores" if view.has_item("PruningScores") else "Emission", netuid)

    def rank(uid: int) -> tuple[bool, int, int]:
        since = view.get("BlockAtRegistration", netuid, uid)
        return view.block - since < period, scores[uid] if uid < len(scores) else 0, since

    uids = [uid for uid, hotkey in enumerate(hotkeys(view, netuid)) if hotkey != owner]
    if not uids:
        raise view.error("NoNeuronIdAvailable")
    return min(uids, key=rank)


def mechanism_index(netuid: int, mechanism: int) -> int:
    """Returns the number under which a mechanism's weights are stored."""
    return mechanism * MECHANISM_SPAN + netuid


def _indexes(view: View, netuid: int) -> list[int]:
    count = int(view.get("MechanismCountCurrent", netuid)) if view.has_item("MechanismCountCurrent") else 1
    return [mechanism_index(netuid, mechanism) for mechanism in range(count)]


def _settle(pallet: Pallet, netuid: int, uid: int, hotkey: bytes) -> None:
    pallet.put("Keys", netuid, uid, value=hotkey)
    pallet.put("Uids", netuid, hotkey, value=uid)
    pallet.put("BlockAtRegistration", netuid, uid, value=pallet.block)
    pallet.put("IsNetworkMember", hotkey, netuid, value=True)
