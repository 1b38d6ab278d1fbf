"""A subnet's parameters, in the three forms there have been."""

from typing import Any, Final

from strongroom_sandbox.bittensor.execution.dispatch import runtime_api
from strongroom_sandbox.bittensor.pallets.shared import epochs, neurons
from strongroom_sandbox.bittensor.pallets.shared.view import View
from strongroom_sandbox.bittensor.state.storage import Storage

_FRACTION: Final = 32
_YUMA: Final = 2

# Parameters that are a stored number, by their names in the APIs.
STORED: Final = {
    "rho": "Rho",
    "kappa": "Kappa",
    "immunity_period": "ImmunityPeriod",
    "min_allowed_weights": "MinAllowedWeights",
    "max_weights_limit": "MaxWeightsLimit",
    "tempo": "Tempo",
    "min_difficulty": "MinDifficulty",
    "max_difficulty": "MaxDifficulty",
    "weights_version": "WeightsVersionKey",
    "weights_rate_limit": "WeightsSetRateLimit",
    "adjustment_interval": "AdjustmentInterval",
    "activity_cutoff": "ActivityCutoff",
    "registration_allowed": "NetworkRegistrationAllowed",
    "target_regs_per_interval": "TargetRegistrationsPerInterval",
    "min_burn": "MinBurn",
    "max_burn": "MaxBurn",
    "bonds_moving_avg": "BondsMovingAverage",
    "max_regs_per_block": "MaxRegistrationsPerBlock",
    "serving_rate_limit": "ServingRateLimit",
    "max_validators": "MaxAllowedValidators",
    "adjustment_alpha": "AdjustmentAlpha",
    "difficulty": "Difficulty",
    "commit_reveal_period": "RevealPeriodEpochs",
    "commit_reveal_weights_enabled": "CommitRevealWeightsEnabled",
    "liquid_alpha_enabled": "LiquidAlphaOn",
}
_STORED_V2: Final = {
    "subnet_is_active": "SubtokenEnabled",
    "transfers_enabled": "TransferToggle",
    "bonds_reset_enabled": "BondsResetOn",
}
_V3: Final = {
    "U16": (
        *("kappa", "immunity_period", "min_allowed_weights", "max_weights_limit", "tempo"),
        *("target_regs_per_interval", "burn_half_life", "max_regs_per_block", "max_validators"),
        *("alpha_high", "alpha_low", "yuma_version", "min_childkey_take"),
    ),
    "U32": ("activity_cutoff_factor",),
    "U64": (
        *("weights_version", "weights_rate_limit", "activity_cutoff", "bonds_moving_avg"),
        *("serving_rate_limit", "commit_reveal_period"),
    ),
    "TaoBalance": ("min_burn", "max_burn"),
    "U64F64": ("burn_increase_mult",),
    "I32F32": ("alpha_sigmoid_steepness",),
    "Bool": (
        *("registration_allowed", "commit_reveal_weights_enabled", "liquid_alpha_enabled"),
        *("subnet_is_active", "transfers_enabled", "bonds_reset_enabled", "user_liquidity_enabled"),
        *("owner_cut_enabled", "owner_cut_auto_lock_enabled"),
    ),
}


@runtime_api("SubnetInfoRuntimeApi_get_subnet_hyperparams")
def get_subnet_hyperparams(storage: Storage, netuid: int) -> dict[str, Any] | None:
    view = View(storage)
    return _first(view, netuid) if neurons.exists(view, netuid) else None


@runtime_api("SubnetInfoRuntimeApi_get_subnet_hyperparams_v2")
def get_subnet_hyperparams_v2(storage: Storage, netuid: int) -> dict[str, Any] | None:
    view = View(storage)
    return _first(view, netuid) | _second(view, netuid) if neurons.exists(view, netuid) else None


@runtime_api("SubnetInfoRuntimeApi_get_subnet_hyperparams_v3")
def get_subnet_hyperparams_v3(storage: Storage, netuid: int) -> list[dict[str, Any]] | None:
    """Names with typed values, so that new ones need no new form."""
    view = View(storage)
    if not neurons.exists(view, netuid):
        return None
    values = _first(view, netuid) | _second(view, netuid) | _third(view, netuid)
    return [
        {"name": name.encode(), "value": (kind, values[name])}
        for kind, names in _V3.items()
        for name in names
    ]


def _first(view: View, netuid: int) -> dict[str, Any]:
    low, high = view.get("AlphaValues", netuid)
    values = {name: view.get(item, netuid) for name, item in STORED.items()}
    cutoff = epochs.activity_cutoff(view, netuid)
    return values | {"alpha_low": low, "alpha_high": high, "activity_cutoff": cutoff}


def _second(view: View, netuid: int) -> dict[str, Any]:
    return {
        **{name: view.get(item, netuid) for name, item in _STORED_V2.items()},
        "alpha_sigmoid_steepness": {"bits": view.get("AlphaSigmoidSteepness", netuid) << _FRACTION},
        "yuma_version": _YUMA + view.get("Yuma3On", netuid),
        "user_liquidity_enabled": view.other("Swap").get_or(False, "EnabledUserLiquidity", netuid),
    }


def _third(view: View, netuid: int) -> dict[str, Any]:
    return {
        "activity_cutoff_factor": view.get("ActivityCutoffFactorMilli", netuid),
        "burn_half_life": view.get("BurnHalfLife", netuid),
        "burn_increase_mult": view.get("BurnIncreaseMult", netuid),
        "owner_cut_enabled": view.get("OwnerCutEnabled", netuid),
        "owner_cut_auto_lock_enabled": view.get("OwnerCutAutoLockEnabled", netuid),
        "min_childkey_take": max(view.get("MinChildkeyTake"), view.get("MinChildkeyTakePerSubnet", netuid)),
    }
