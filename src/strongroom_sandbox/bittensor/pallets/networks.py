"""Subnets come into being, and begin to trade."""

from typing import Any, Final

from strongroom_sandbox.bittensor.execution.dispatch import Context, call
from strongroom_sandbox.bittensor.execution.failures import DispatchError
from strongroom_sandbox.bittensor.pallets.shared import coldkeys, neurons
from strongroom_sandbox.bittensor.pallets.shared.cost import db, free_once
from strongroom_sandbox.bittensor.pallets.shared.view import SUBTENSOR, Pallet, View
from strongroom_sandbox.bittensor.rules import prices

_DYNAMIC: Final = 1
_LEAST_FREE: Final = 1
_GREEK: Final = "τα" + "".join(chr(letter) for letter in range(0x3B2, 0x3CA) if letter != 0x3C2)  # noqa: PLR2004

# What a new subnet is given, with the event that says so; 293 has all of it, 424 what is not marked.
_SETTINGS: Final[tuple[tuple[str, Any, str, bool], ...]] = (
    ("NetworkRegistrationAllowed", True, "RegistrationAllowed", True),
    ("MaxAllowedUids", 256, "MaxAllowedUidsSet", True),
    ("MaxAllowedValidators", 64, "MaxAllowedValidatorsSet", True),
    ("MinAllowedWeights", 1, "MinAllowedWeightSet", True),
    ("MaxWeightsLimit", 65_535, "MaxWeightLimitSet", False),
    ("AdjustmentInterval", 360, "AdjustmentIntervalSet", False),
    ("TargetRegistrationsPerInterval", 1, "RegistrationPerIntervalSet", False),
    ("AdjustmentAlpha", 17_893_341_751_498_265_066, "AdjustmentAlphaSet", False),
    ("ImmunityPeriod", 5_000, "ImmunityPeriodSet", True),
    ("MinDifficulty", (1 << 64) - 1, "MinDifficultySet", False),
    ("MaxDifficulty", (1 << 64) - 1, "MaxDifficultySet", False),
)
# Items that are stored with their default from the beginning.
_STORED: Final = ("Kappa", "Difficulty", "ActivityCutoff", "RegistrationsThisInterval")
_STORED_ON_293: Final = ("POWRegistrationsThisInterval", "BurnRegistrationsThisInterval")


@call(
    SUBTENSOR,
    "register_network",
    weight=free_once(260_500_000, reads=36, writes=52, dispatch_class="Operational"),
)
def register_network(ctx: Context, hotkey: bytes) -> None:
    _register(Pallet(ctx), hotkey, None)


@call(
    SUBTENSOR,
    "register_network_with_identity",
    weight=free_once(239_700_000, reads=35, writes=51, dispatch_class="Operational"),
)
def register_network_with_identity(ctx: Context, hotkey: bytes, identity: dict[str, Any] | None) -> None:
    _register(Pallet(ctx), hotkey, identity)


@call(SUBTENSOR, "start_call", ref_time=db(35_770_000, reads=4, writes=2), dispatch_class="Operational")
def start_call(ctx: Context, netuid: int) -> None:
    pallet = Pallet(ctx)
    if not neurons.exists(pallet, netuid):
        raise pallet.error("SubnetNotExists" if pallet.stateful_epochs else "SubNetworkDoesNotExist")
    if ctx.signer != pallet.get("SubnetOwner", netuid):
        raise DispatchError.bad_origin()
    if pallet.get("FirstEmissionBlockNumber", netuid) is not None:
        raise pallet.error("FirstEmissionBlockNumberAlreadySet")
    if pallet.block < pallet.get("NetworkRegisteredAt", netuid) + _delay(pallet):
        raise pallet.error("NeedWaitingMoreBlocksToStarCall")
    pallet.put("FirstEmissionBlockNumber", netuid, value=pallet.block + 1)
    pallet.put("SubtokenEnabled", netuid, value=True)
    pallet.event("FirstEmissionBlockNumberSet", netuid, pallet.block + 1)


def lock_cost(view: View) -> int:
    """What a subnet costs now, in rao."""
    return prices.lock_cost(
        last=view.get("NetworkLastLockCost"),
        least=view.get("NetworkMinLockCost"),
        last_block=last_registered(view),
        block=view.block,
        interval=view.get("NetworkLockReductionInterval"),
    )


def last_registered(view: View) -> int:
    """The block of the last registration of a subnet; 0: there was none."""
    if view.has_item("NetworkLastRegistered"):
        return int(view.get("NetworkLastRegistered"))
    return int(view.get("LastRateLimitedBlock", "NetworkLastRegistered"))


def passes_rate_limit(view: View) -> bool:
    last = last_registered(view)
    free = view.stateful_epochs and last == 0
    return free or bool(view.block - last >= view.get("NetworkRateLimit"))


def _register(pallet: Pallet, hotkey: bytes, identity: dict[str, Any] | None) -> None:
    coldkey = pallet.signer
    if pallet.contains("Owner", hotkey) and not neurons.owns(pallet, coldkey, hotkey):
        raise pallet.error("NonAssociatedColdKey")
    if not passes_rate_limit(pallet):
        raise pallet.error("NetworkTxRateLimitExceeded")
    cost = lock_cost(pallet)
    if not coldkeys.can_pay(pallet, coldkey, cost):
        raise pallet.error("CannotAffordLockCost" if pallet.stateful_epochs else "NotEnoughBalanceToStake")
    netuid = _next_netuid(pallet)
    if pallet.stateful_epochs:
        _initialise(pallet, netuid)
        locked = coldkeys.spend(pallet, coldkey, cost, netuid)
    else:
        locked = coldkeys.spend(pallet, coldkey, cost, netuid)
        _initialise(pallet, netuid)
    neurons.create_account(pallet, coldkey, hotkey)
    neurons.append(pallet, netuid, hotkey)
    _found(pallet, netuid, hotkey, locked)
    if identity is not None:
        pallet.put("SubnetIdentitiesV3", netuid, value=identity)
        pallet.event("SubnetIdentitySet", netuid)
    pallet.event("NetworkAdded", netuid, _DYNAMIC)


def _found(pallet: Pallet, netuid: int, hotkey: bytes, locked: int) -> None:
    """The pool, the owner and the books of a new subnet."""
    least = pallet.get("NetworkMinLockCost")
    pooled = max(locked, least) if pallet.stateful_epochs else least
    values = {
        "SubnetMechanism": _DYNAMIC,
        "NetworkRegisteredAt": pallet.block,
        "TokenSymbol": _symbol(netuid).encode(),
        "SubnetTAO": pooled,
        "SubnetAlphaIn": pooled,
        "SubnetOwner": pallet.signer,
        "SubnetOwnerHotkey": hotkey,
        "NetworkPowRegistrationAllowed": True,
    }
    if pallet.stateful_epochs:
        values |= {"SubnetLocked": locked, "SubnetAlphaOut": 0, "SubnetVolume": 0}
        values |= {"SubnetEmissionEnabled": False, "RAORecycledForRegistration": 0}
    for item, value in values.items():
        pallet.put(item, netuid, value=value)
    pallet.put("NetworkLastLockCost", value=locked)
    if pallet.has_item("NetworkLastRegistered"):
        pallet.put("NetworkLastRegistered", value=pallet.block)
    else:
        pallet.put("LastRateLimitedBlock", "NetworkLastRegistered", value=pallet.block)
    pallet.change("TotalStake", by=lambda total: total + pooled)


def _initialise(pallet: Pallet, netuid: int) -> None:
    tempo = pallet.storage.constant(SUBTENSOR, "InitialTempo")
    pallet.put("SubnetworkN", netuid, value=0)
    pallet.put("NetworksAdded", netuid, value=True)
    pallet.put("Tempo", netuid, value=tempo)
    if pallet.stateful_epochs:
        pallet.put("LastEpochBlock", netuid, value=max(0, pallet.block - netuid % max(tempo, 1)))
        pallet.put("Yuma3On", netuid, value=True)
        pallet.put("Burn", netuid, value=pallet.get("Burn", netuid))
    pallet.change("TotalNetworks", by=lambda count: count + 1)
    for item, value, event, always in _SETTINGS:
        if always or not pallet.stateful_epochs:
            pallet.put(item, netuid, value=value)
            pallet.event(event, netuid, value)
    for item in _STORED + (() if pallet.stateful_epochs else _STORED_ON_293):
        if pallet.has_item(item):
            pallet.put(item, netuid, value=pallet.get(item, netuid))


def _next_netuid(view: View) -> int:
    taken = set(neurons.netuids(view))
    return next(netuid for netuid in range(_LEAST_FREE, 1 << 16) if netuid not in taken)


def _symbol(netuid: int) -> str:
    return _GREEK[netuid] if netuid < len(_GREEK) else f"{_GREEK[1]}{netuid}"


def _delay(view: View) -> int:
    if view.has_item("StartCallDelay"):
        return int(view.get("StartCallDelay"))
    return int(view.storage.constant(SUBTENSOR, "DurationOfStartCall"))
