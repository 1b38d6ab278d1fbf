"""Neurons of a subnet, one by one."""

from typing import Any, Final

from strongroom_sandbox.bittensor.execution.dispatch import runtime_api
from strongroom_sandbox.bittensor.pallets.shared import neurons
from strongroom_sandbox.bittensor.pallets.shared.view import View
from strongroom_sandbox.bittensor.state.storage import Storage

NO_AXON: Final = dict.fromkeys(
    ("block", "version", "ip", "port", "ip_type", "protocol", "placeholder1", "placeholder2"), 0
)
_NO_PROMETHEUS: Final = dict.fromkeys(("block", "version", "ip", "port", "ip_type"), 0)
_UNSCORED: Final = 65_535
_VECTORS: Final = {
    "active": "Active",
    "rank": "Rank",
    "emission": "Emission",
    "incentive": "Incentive",
    "consensus": "Consensus",
    "trust": "Trust",
    "validator_trust": "ValidatorTrust",
    "dividends": "Dividends",
    "last_update": "LastUpdate",
    "validator_permit": "ValidatorPermit",
    "pruning_score": "PruningScores",
}


@runtime_api("NeuronInfoRuntimeApi_get_neurons")
def get_neurons(storage: Storage, netuid: int) -> list[dict[str, Any]]:
    view = View(storage)
    vectors = vectors_of(view, netuid)
    return [_full(view, netuid, uid, vectors) for uid in range(view.get("SubnetworkN", netuid))]


@runtime_api("NeuronInfoRuntimeApi_get_neurons_lite")
def get_neurons_lite(storage: Storage, netuid: int) -> list[dict[str, Any]]:
    view = View(storage)
    vectors = vectors_of(view, netuid)
    return [_lite(view, netuid, uid, vectors) for uid in range(view.get("SubnetworkN", netuid))]


@runtime_api("NeuronInfoRuntimeApi_get_neuron")
def get_neuron(storage: Storage, netuid: int, uid: int) -> dict[str, Any] | None:
    view = View(storage)
    if uid >= view.get("SubnetworkN", netuid):
        return None
    return _full(view, netuid, uid, vectors_of(view, netuid))


@runtime_api("NeuronInfoRuntimeApi_get_neuron_lite")
def get_neuron_lite(storage: Storage, netuid: int, uid: int) -> dict[str, Any] | None:
    view = View(storage)
    if uid >= view.get("SubnetworkN", netuid):
        return None
    return _lite(view, netuid, uid, vectors_of(view, netuid))


def vectors_of(view: View, netuid: int, index: int | None = None) -> dict[str, list[Any]]:
    """What a subnet keeps for each uid, all of the same length. `index`: of a mechanism, where it has its own."""
    index = netuid if index is None else index
    count = view.get("SubnetworkN", netuid)
    found: dict[str, list[Any]] = {}
    for field, item in _VECTORS.items():
        empty = _UNSCORED if field == "pruning_score" else 0
        stored = view.get_or([], item, index if item in ("LastUpdate", "Incentive") else netuid)
        found[field] = [*stored, *[empty] * count][:count]
    return found


def axon_of(view: View, netuid: int, hotkey: bytes) -> dict[str, Any]:
    return view.get("Axons", netuid, hotkey) or dict(NO_AXON)


def _lite(view: View, netuid: int, uid: int, vectors: dict[str, list[Any]]) -> dict[str, Any]:
    hotkey = neurons.hotkey_of(view, netuid, uid)
    coldkey = view.get("Owner", hotkey)
    stake = view.get("TotalHotkeyAlpha", hotkey, netuid)
    return {
        "hotkey": hotkey,
        "coldkey": coldkey,
        "uid": uid,
        "netuid": netuid,
        "axon_info": axon_of(view, netuid, hotkey),
        "prometheus_info": view.get("Prometheus", netuid, hotkey) or dict(_NO_PROMETHEUS),
        "stake": [(coldkey, stake)],
        **{field: values[uid] for field, values in vectors.items()},
    }


def _full(view: View, netuid: int, uid: int, vectors: dict[str, list[Any]]) -> dict[str, Any]:
    pairs = {"weights": "Weights", "bonds": "Bonds"}
    rows = {
        field: [(other, value) for other, value in view.get(item, netuid, uid) if value]
        for field, item in pairs.items()
    }
    return _lite(view, netuid, uid, vectors) | rows
