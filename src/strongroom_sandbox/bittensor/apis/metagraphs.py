"""Everything of a subnet at once: metagraphs, whole or in parts, and the state behind them."""

from typing import Any, Final

from strongroom_sandbox.bittensor.apis.hyperparameters import STORED
from strongroom_sandbox.bittensor.apis.neurons import axon_of, vectors_of
from strongroom_sandbox.bittensor.apis.subnets import economy
from strongroom_sandbox.bittensor.execution.dispatch import runtime_api
from strongroom_sandbox.bittensor.pallets.shared import epochs, neurons, stakes
from strongroom_sandbox.bittensor.pallets.shared.view import View
from strongroom_sandbox.bittensor.state.storage import Storage

_OF_UIDS: Final = (
    *("active", "validator_permit", "pruning_score", "last_update", "emission", "dividends"),
    *("consensus", "trust", "rank"),
)
_SELECTIVE: Final = "SubnetInfoRuntimeApi_get_selective_metagraph"


@runtime_api("SubnetInfoRuntimeApi_get_metagraph")
def get_metagraph(storage: Storage, netuid: int) -> dict[str, Any] | None:
    return get_mechagraph(storage, netuid, 0)


@runtime_api("SubnetInfoRuntimeApi_get_mechagraph")
def get_mechagraph(storage: Storage, netuid: int, mecid: int) -> dict[str, Any] | None:
    view = View(storage)
    return _metagraph(view, netuid, mecid) if neurons.exists(view, netuid) else None


@runtime_api("SubnetInfoRuntimeApi_get_all_metagraphs")
def get_all_metagraphs(storage: Storage) -> list[dict[str, Any] | None]:
    return [get_metagraph(storage, netuid) for netuid in neurons.netuids(View(storage))]


@runtime_api("SubnetInfoRuntimeApi_get_all_mechagraphs")
def get_all_mechagraphs(storage: Storage) -> list[dict[str, Any] | None]:
    view = View(storage)
    return [
        get_mechagraph(storage, netuid, mecid)
        for netuid in neurons.netuids(view)
        for mecid in range(view.get("MechanismCountCurrent", netuid))
    ]


@runtime_api(_SELECTIVE)
def get_selective_metagraph(storage: Storage, netuid: int, indexes: list[int]) -> dict[str, Any] | None:
    return get_selective_mechagraph(storage, netuid, 0, indexes)


@runtime_api("SubnetInfoRuntimeApi_get_selective_mechagraph")
def get_selective_mechagraph(
    storage: Storage, netuid: int, subid: int, indexes: list[int]
) -> dict[str, Any] | None:
    """The fields whose places in the structure are asked for; the others are None."""
    view = View(storage)
    if not neurons.exists(view, netuid):
        return None
    values = _metagraph(view, netuid, subid) | _additions(view, netuid)
    names = storage.runtime.result_fields(_SELECTIVE)
    wanted = {0, *indexes}
    return {name: values[name] if place in wanted else None for place, name in enumerate(names)}


@runtime_api("SubnetInfoRuntimeApi_get_subnet_state")
def get_subnet_state(storage: Storage, netuid: int) -> dict[str, Any] | None:
    view = View(storage)
    if not neurons.exists(view, netuid):
        return None
    values = _population(view, netuid, 0)
    count = len(values["hotkeys"])
    history = [[0] * len(neurons.netuids(view)) for _ in range(count)]
    left_out = ("axons", "identities", "tao_dividends_per_hotkey", "alpha_dividends_per_hotkey")
    kept = {name: value for name, value in values.items() if name not in left_out}
    return {"netuid": netuid, "emission_history": history, **kept}


def _metagraph(view: View, netuid: int, mechanism: int) -> dict[str, Any]:
    return {
        **economy(view, netuid),
        **_parameters(view, netuid),
        **_population(view, netuid, mechanism),
        "block": view.block,
        "max_uids": view.get("MaxAllowedUids", netuid),
        "num_uids": view.get("SubnetworkN", netuid),
    }


def _parameters(view: View, netuid: int) -> dict[str, Any]:
    low, high = view.get("AlphaValues", netuid)
    values = {name: view.get(item, netuid) for name, item in STORED.items()}
    return {
        **values,
        "activity_cutoff": epochs.activity_cutoff(view, netuid),
        "alpha_low": low,
        "alpha_high": high,
        "burn": view.get("Burn", netuid),
        "pow_registration_allowed": view.get("NetworkPowRegistrationAllowed", netuid),
    }


def _population(view: View, netuid: int, mechanism: int) -> dict[str, Any]:
    keys = neurons.hotkeys(view, netuid)
    coldkeys = [view.get("Owner", key) for key in keys]
    vectors = vectors_of(view, netuid, neurons.mechanism_index(netuid, mechanism))
    return {
        "hotkeys": keys,
        "coldkeys": coldkeys,
        "identities": [view.get("IdentitiesV2", coldkey) for coldkey in coldkeys],
        "axons": [axon_of(view, netuid, key) for key in keys],
        **{field: vectors[field] for field in _OF_UIDS},
        "incentives": vectors["incentive"],
        "block_at_registration": [view.get("BlockAtRegistration", netuid, uid) for uid in range(len(keys))],
        "alpha_stake": [stakes.inherited(view, netuid, key, netuid) for key in keys],
        "tao_stake": [stakes.inherited(view, netuid, key, stakes.ROOT) for key in keys],
        "total_stake": [stakes.weight_of(view, netuid, key) for key in keys],
        "tao_dividends_per_hotkey": [(key, 0) for key in keys],
        "alpha_dividends_per_hotkey": [(key, 0) for key in keys],
    }


def _additions(view: View, netuid: int) -> dict[str, Any]:
    """What only selective metagraphs have."""
    permits = view.get("ValidatorPermit", netuid)
    weighed = [
        (stakes.weight_of(view, netuid, key), uid)
        for uid, key in enumerate(neurons.hotkeys(view, netuid))
        if uid < len(permits) and permits[uid]
    ]
    threshold = view.get("StakeThreshold")
    published = view.other("Commitments").entries("CommitmentOf", netuid)
    return {
        "validators": [uid for weight, uid in sorted(weighed) if weight > threshold],
        "commitments": [(key[1], list(_raw(stored["info"]["fields"]))) for key, stored in published],
    }


def _raw(fields: list[Any]) -> bytes:
    content = fields[0][1] if fields and isinstance(fields[0], tuple) else b""
    return content if isinstance(content, bytes) else b""
