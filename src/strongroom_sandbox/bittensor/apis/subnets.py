"""Subnets as a whole: their pools, owners and prices."""

from typing import Any

from strongroom_sandbox.bittensor.apis.hyperparameters import STORED
from strongroom_sandbox.bittensor.execution.dispatch import runtime_api
from strongroom_sandbox.bittensor.pallets import networks
from strongroom_sandbox.bittensor.pallets.shared import coldkeys, neurons
from strongroom_sandbox.bittensor.pallets.shared.view import View
from strongroom_sandbox.bittensor.state.storage import Storage

_IN_INFO = (
    *("rho", "kappa", "difficulty", "immunity_period", "min_allowed_weights", "max_weights_limit"),
    *("tempo",),
)


@runtime_api("SubnetInfoRuntimeApi_get_dynamic_info")
def get_dynamic_info(storage: Storage, netuid: int) -> dict[str, Any] | None:
    view = View(storage)
    if not neurons.exists(view, netuid):
        return None
    values = economy(view, netuid)
    renamed = {
        "subnet_name": values.pop("name"),
        "token_symbol": values.pop("symbol"),
        "subnet_identity": values.pop("identity"),
        "emission": values.pop("subnet_emission"),
    }
    return values | renamed


@runtime_api("SubnetInfoRuntimeApi_get_all_dynamic_info")
def get_all_dynamic_info(storage: Storage) -> list[dict[str, Any] | None]:
    return [get_dynamic_info(storage, netuid) for netuid in neurons.netuids(View(storage))]


@runtime_api("SubnetInfoRuntimeApi_get_subnet_info")
def get_subnet_info(storage: Storage, netuid: int) -> dict[str, Any] | None:
    view = View(storage)
    return _info(view, netuid) | {"emission_values": 0} if neurons.exists(view, netuid) else None


@runtime_api("SubnetInfoRuntimeApi_get_subnet_info_v2")
def get_subnet_info_v2(storage: Storage, netuid: int) -> dict[str, Any] | None:
    view = View(storage)
    if not neurons.exists(view, netuid):
        return None
    identity = view.get("SubnetIdentitiesV3", netuid)
    return _info(view, netuid) | {"emission_value": 0, "identity": identity}


@runtime_api("SubnetInfoRuntimeApi_get_subnets_info")
def get_subnets_info(storage: Storage) -> list[dict[str, Any] | None]:
    return [get_subnet_info(storage, netuid) for netuid in neurons.netuids(View(storage))]


@runtime_api("SubnetInfoRuntimeApi_get_subnets_info_v2")
def get_subnets_info_v2(storage: Storage) -> list[dict[str, Any] | None]:
    return [get_subnet_info_v2(storage, netuid) for netuid in neurons.netuids(View(storage))]


@runtime_api("SubnetInfoRuntimeApi_get_next_epoch_start_block")
def get_next_epoch_start_block(storage: Storage, netuid: int) -> int | None:
    view = View(storage)
    tempo, pending = view.get("Tempo", netuid), view.get("PendingEpochAt", netuid)
    scheduled = int(view.get("LastEpochBlock", netuid) + tempo)
    return (min(scheduled, pending) if pending else scheduled) if tempo else None


@runtime_api("SubnetInfoRuntimeApi_get_subnet_account_id")
def get_subnet_account_id(storage: Storage, netuid: int) -> bytes | None:
    return coldkeys.subnet_account(netuid) if neurons.exists(View(storage), netuid) else None


@runtime_api("SubnetRegistrationRuntimeApi_get_network_registration_cost")
def get_network_registration_cost(storage: Storage) -> int:
    return networks.lock_cost(View(storage))


def economy(view: View, netuid: int) -> dict[str, Any]:
    """Name, owner and pool of a subnet, with the names of a metagraph. No emission is paid here."""
    since = view.get("BlocksSinceLastStep", netuid)
    identity = view.get("SubnetIdentitiesV3", netuid)
    name = identity["subnet_name"] if identity else f"subnet {netuid}".encode()
    return {
        "netuid": netuid,
        "name": list(name),
        "symbol": list(view.get("TokenSymbol", netuid)),
        "identity": identity,
        "network_registered_at": view.get("NetworkRegisteredAt", netuid),
        "owner_hotkey": view.get("SubnetOwnerHotkey", netuid),
        "owner_coldkey": view.get("SubnetOwner", netuid),
        "tempo": view.get("Tempo", netuid),
        "last_step": view.get("LastMechansimStepBlock", netuid),
        "blocks_since_last_step": since,
        "alpha_in": view.get("SubnetAlphaIn", netuid),
        "alpha_out": view.get("SubnetAlphaOut", netuid),
        "tao_in": view.get("SubnetTAO", netuid),
        "subnet_volume": view.get("SubnetVolume", netuid),
        "moving_price": view.get("SubnetMovingPrice", netuid),
        **dict.fromkeys(("subnet_emission", "alpha_out_emission", "alpha_in_emission", "tao_in_emission"), 0),
        **dict.fromkeys(("pending_alpha_emission", "pending_root_emission"), 0),
    }


def _info(view: View, netuid: int) -> dict[str, Any]:
    return {
        **{name: view.get(STORED[name], netuid) for name in _IN_INFO},
        "netuid": netuid,
        "max_allowed_validators": view.get("MaxAllowedValidators", netuid),
        "scaling_law_power": view.get("ScalingLawPower", netuid),
        "subnetwork_n": view.get("SubnetworkN", netuid),
        "max_allowed_uids": view.get("MaxAllowedUids", netuid),
        "blocks_since_last_step": view.get("BlocksSinceLastStep", netuid),
        "network_modality": view.get_or(0, "NetworkModality", netuid),
        "network_connect": [],
        "burn": view.get("Burn", netuid),
        "owner": view.get("SubnetOwner", netuid),
    }
