"""Parameters of the network and of subnets, which root sets, and some of them the subnet's owner."""

from typing import Any, Final, NamedTuple

from strongroom_sandbox.bittensor.execution.dispatch import Context, call
from strongroom_sandbox.bittensor.execution.failures import DispatchError
from strongroom_sandbox.bittensor.pallets.shared import neurons
from strongroom_sandbox.bittensor.pallets.shared.view import Pallet, View

_UNIT: Final = 125_000_000
_ADMIN: Final = "AdminUtils"


class Setting(NamedTuple):
    """A call that stores its last argument. `own_time` None: it is free and weighs nothing."""

    function: str
    item: str
    event: str | None
    own_time: int | None = None
    owner_too: bool = False
    checks_subnet: bool = True


_OF_SUBNETS: Final = (
    Setting("sudo_set_serving_rate_limit", "ServingRateLimit", "ServingRateLimitSet", 6_682_000, True, False),
    Setting("sudo_set_min_difficulty", "MinDifficulty", "MinDifficultySet", 19_780_000),
    Setting("sudo_set_max_difficulty", "MaxDifficulty", "MaxDifficultySet", 16_750_000, True),
    Setting("sudo_set_weights_version_key", "WeightsVersionKey", "WeightsVersionKeySet", 16_320_000, True),
    Setting("sudo_set_weights_set_rate_limit", "WeightsSetRateLimit", "WeightsSetRateLimitSet", 16_560_000),
    Setting("sudo_set_adjustment_interval", "AdjustmentInterval", "AdjustmentIntervalSet", 16_570_000),
    Setting("sudo_set_adjustment_alpha", "AdjustmentAlpha", "AdjustmentAlphaSet", 14_000_000, True),
    Setting("sudo_set_max_weight_limit", "MaxWeightsLimit", "MaxWeightLimitSet", 19_240_000, True),
    Setting("sudo_set_immunity_period", "ImmunityPeriod", "ImmunityPeriodSet", 19_380_000, True),
    Setting("sudo_set_min_allowed_weights", "MinAllowedWeights", "MinAllowedWeightSet", 19_770_000, True),
    Setting("sudo_set_max_allowed_uids", "MaxAllowedUids", "MaxAllowedUidsSet", 23_820_000),
    Setting("sudo_set_kappa", "Kappa", "KappaSet", 16_440_000, True),
    Setting("sudo_set_rho", "Rho", None, 13_770_000, True),
    Setting("sudo_set_activity_cutoff", "ActivityCutoff", "ActivityCutoffSet", 22_600_000, True),
    Setting("sudo_set_target_registrations_per_interval", "TargetRegistrationsPerInterval",
            "RegistrationPerIntervalSet", 16_260_000),
    Setting("sudo_set_min_burn", "MinBurn", "MinBurnSet", 19_840_000),
    Setting("sudo_set_max_burn", "MaxBurn", "MaxBurnSet", 16_250_000),
    Setting("sudo_set_difficulty", "Difficulty", "DifficultySet", 17_040_000),
    Setting("sudo_set_max_allowed_validators", "MaxAllowedValidators", "MaxAllowedValidatorsSet", 25_210_000),
    Setting("sudo_set_bonds_moving_average", "BondsMovingAverage", "BondsMovingAverageSet", 16_880_000, True),
    Setting("sudo_set_bonds_penalty", "BondsPenalty", "BondsPenaltySet", 20_030_000, True),
    Setting("sudo_set_max_registrations_per_block", "MaxRegistrationsPerBlock",
            "MaxRegistrationsPerBlockSet", 19_680_000),
    Setting("sudo_set_tempo", "Tempo", "TempoSet", 16_690_000),
    Setting("sudo_set_network_registration_allowed", "NetworkRegistrationAllowed", "RegistrationAllowed",
            8_696_000, checks_subnet=False),
    Setting("sudo_set_network_pow_registration_allowed", "NetworkPowRegistrationAllowed",
            "PowRegistrationAllowed", 14_000_000, True, False),
    Setting("sudo_set_commit_reveal_weights_enabled", "CommitRevealWeightsEnabled", "CommitRevealEnabled",
            19_480_000, True),
    Setting("sudo_set_commit_reveal_weights_interval", "RevealPeriodEpochs", "CommitRevealPeriodsSet",
            17_160_000, True),
    Setting("sudo_set_liquid_alpha_enabled", "LiquidAlphaOn", None, None, True, False),
    Setting("sudo_set_toggle_transfer", "TransferToggle", "TransferToggle", None, True, False),
    Setting("sudo_set_yuma3_enabled", "Yuma3On", None, None, True, False),
    Setting("sudo_set_subtoken_enabled", "SubtokenEnabled", None, None, checks_subnet=False),
    Setting("sudo_set_mechanism_count", "MechanismCountCurrent", None, 15_000_000, True, False),
)  # fmt: skip
_OF_THE_NETWORK: Final = (
    Setting("sudo_set_default_take", "MaxDelegateTake", "MaxDelegateTakeSet", 5_831_000),
    Setting("sudo_set_tx_rate_limit", "TxRateLimit", "TxRateLimitSet"),
    Setting("sudo_set_subnet_owner_cut", "SubnetOwnerCut", "SubnetOwnerCutSet", 14_000_000),
    Setting("sudo_set_network_rate_limit", "NetworkRateLimit", "NetworkRateLimitSet", 14_000_000),
    Setting("sudo_set_network_immunity_period", "NetworkImmunityPeriod", "NetworkImmunityPeriodSet", 14_000_000),
    Setting("sudo_set_network_min_lock_cost", "NetworkMinLockCost", "NetworkMinLockCostSet", 14_000_000),
    Setting("sudo_set_lock_reduction_interval", "NetworkLockReductionInterval",
            "NetworkLockCostReductionIntervalSet", 14_000_000),
    Setting("sudo_set_stake_threshold", "StakeThreshold", "StakeThresholdSet"),
    Setting("sudo_set_nominator_min_required_stake", "NominatorMinRequiredStake", None),
    Setting("sudo_set_tx_delegate_take_rate_limit", "TxDelegateTakeRateLimit", "TxDelegateTakeRateLimitSet"),
    Setting("sudo_set_min_delegate_take", "MinDelegateTake", "MinDelegateTakeSet"),
    Setting("sudo_set_commit_reveal_version", "CommitRevealWeightsVersion", "CommitRevealVersionSet"),
    Setting("sudo_set_start_call_delay", "StartCallDelay", "StartCallDelaySet"),
)  # fmt: skip


def _register_for_subnets(setting: Setting) -> None:
    def apply(ctx: Context, netuid: int, **argument: Any) -> None:
        pallet = Pallet(ctx)
        _ensure_entitled(ctx, pallet, netuid, owner_too=setting.owner_too)
        if setting.checks_subnet and not neurons.exists(pallet, netuid):
            raise DispatchError.module(_ADMIN, "SubnetDoesNotExist")
        (value,) = argument.values()
        pallet.put(setting.item, netuid, value=value)
        if setting.event:
            pallet.event(setting.event, netuid, value)

    _declare(setting, apply)


def _register_for_the_network(setting: Setting) -> None:
    def apply(ctx: Context, **argument: Any) -> None:
        ctx.ensure_root()
        pallet = Pallet(ctx)
        (value,) = argument.values()
        pallet.put(setting.item, value=value)
        if setting.event:
            pallet.event(setting.event, value)

    _declare(setting, apply)


def _declare(setting: Setting, apply: Any) -> None:
    free = setting.own_time is None or setting.function == "sudo_set_network_rate_limit"
    # Those of subnets read and write one item each; the network's only write it.
    database = _UNIT if setting in _OF_SUBNETS else 100_000_000
    call(
        _ADMIN,
        setting.function,
        ref_time=0 if setting.own_time is None else setting.own_time + database,
        pays_fee=not free,
        dispatch_class="Operational" if free else "Normal",
    )(apply)


def _ensure_entitled(ctx: Context, view: View, netuid: int, *, owner_too: bool) -> None:
    if owner_too and ctx.origin.account is not None:
        if ctx.origin.account != view.get("SubnetOwner", netuid):
            raise DispatchError.bad_origin()
        return
    ctx.ensure_root()


for _setting in _OF_SUBNETS:
    _register_for_subnets(_setting)
for _setting in _OF_THE_NETWORK:
    _register_for_the_network(_setting)
