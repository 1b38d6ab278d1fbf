"""Setting weights in the clear."""

from collections.abc import Sequence
from typing import Any

from strongroom_sandbox.bittensor.execution.dispatch import Context, call
from strongroom_sandbox.bittensor.pallets.shared import neurons, stakes
from strongroom_sandbox.bittensor.pallets.shared.cost import db
from strongroom_sandbox.bittensor.pallets.shared.view import SUBTENSOR, Pallet, View
from strongroom_sandbox.bittensor.rules import weights as rules

ROOT = 0


@call(SUBTENSOR, "set_weights", ref_time=db(20_730_000_000, reads=4111, writes=2), pays_fee=False)
def set_weights(ctx: Context, netuid: int, dests: list[int], weights: list[int], version_key: int) -> None:
    pallet = Pallet(ctx)
    _in_the_clear(pallet, netuid)
    store(pallet, ctx.signer, netuid, 0, dests, weights, version_key)


@call(SUBTENSOR, "set_mechanism_weights", ref_time=db(20_730_000_000, reads=4111, writes=2), pays_fee=False)
def set_mechanism_weights(
    ctx: Context, netuid: int, mecid: int, dests: list[int], weights: list[int], version_key: int
) -> None:
    pallet = Pallet(ctx)
    _in_the_clear(pallet, netuid)
    store(pallet, ctx.signer, netuid, mecid, dests, weights, version_key)


@call(SUBTENSOR, "batch_set_weights", ref_time=db(105_100_000, reads=14, writes=2), pays_fee=False)
def batch_set_weights(
    ctx: Context, netuids: list[int], weights: list[list[tuple[int, int]]], version_keys: list[int]
) -> None:
    """Always succeeds; what failed is told in events."""
    pallet = Pallet(ctx)
    if not len(netuids) == len(weights) == len(version_keys):
        raise pallet.error("InputLengthsUnequal")

    def one(netuid: int, row: Sequence[tuple[int, int]], version_key: int) -> None:
        _in_the_clear(pallet, netuid)
        uids, values = [uid for uid, _ in row], [value for _, value in row]
        store(pallet, ctx.signer, netuid, 0, uids, values, version_key)

    run_each(pallet, netuids, list(zip(netuids, weights, version_keys, strict=True)), one)


def run_each(pallet: Pallet, netuids: Sequence[int], items: Sequence[tuple[Any, ...]], one: Any) -> None:
    """Runs every item on its own; the failures come as events after all of them."""
    failures = [(item[0], error) for item in items if (error := pallet.attempt(one, *item)) is not None]
    if failures:
        pallet.event("BatchCompletedWithErrors")
    for netuid, error in failures:
        pallet.event("BatchWeightItemFailed", *((netuid, error) if pallet.stateful_epochs else (error,)))
    pallet.event("BatchWeightsCompleted", netuids, pallet.signer)


def store(
    pallet: Pallet,
    hotkey: bytes,
    netuid: int,
    mechanism: int,
    uids: Sequence[int],
    values: Sequence[int],
    version_key: int,
) -> None:
    """Checks in the chain's order, then stores.

    Raises:
        DispatchError: the first check that fails.
    """
    index = neurons.mechanism_index(netuid, mechanism)
    if netuid == ROOT:
        raise pallet.error("CanNotSetRootNetworkWeights")
    if len(uids) != len(values):
        raise pallet.error("WeightVecNotEqualSize")
    ensure_mechanism(pallet, netuid, mechanism)
    if len(uids) > pallet.get("SubnetworkN", netuid):
        raise pallet.error("UidsLengthExceedUidsInSubNet")
    uid = neurons.registered_uid(pallet, netuid, hotkey)
    if not stakes.may_set_weights(pallet, netuid, hotkey):
        raise pallet.error("NotEnoughStakeToSetWeights")
    if version_key < pallet.get("WeightsVersionKey", netuid):
        raise pallet.error("IncorrectWeightVersionKey")
    hidden = pallet.get("CommitRevealWeightsEnabled", netuid)
    if not hidden and not passes_rate_limit(pallet, netuid, index, uid):
        raise pallet.error("SettingWeightsTooFast")
    _check_values(pallet, netuid, uid, uids, values)
    scaled = rules.max_upscale(values)
    alone = rules.is_self_weight(uid, uids, values)
    if not alone and rules.exceeds_share(scaled, max_weight(pallet, netuid)):
        raise pallet.error("MaxWeightExceeded")
    pallet.put("Weights", index, uid, value=list(zip(uids, scaled, strict=True)))
    if not hidden:
        neurons.set_last_update(pallet, index, uid)
    pallet.event("WeightsSet", index, uid)


def max_weight(view: View, netuid: int) -> int:
    """Newer runtimes keep the item, and look at it no more (subtensor be7c2d467)."""
    return rules.U16_MAX if view.stateful_epochs else int(view.get("MaxWeightsLimit", netuid))


def ensure_mechanism(view: View, netuid: int, mechanism: int) -> None:
    """Raises: DispatchError: the subnet, or its mechanism, does not exist."""
    if not neurons.exists(view, netuid):
        raise view.error("MechanismDoesNotExist" if view.stateful_epochs else "SubNetworkDoesNotExist")
    if view.stateful_epochs and mechanism >= view.get("MechanismCountCurrent", netuid):
        raise view.error("MechanismDoesNotExist")


def passes_rate_limit(view: View, netuid: int, index: int, uid: int) -> bool:
    """The chain lets through what comes exactly at the limit; a uid that never set weights passes."""
    last = neurons.last_update(view, index, uid)
    return last == 0 or view.block - last >= view.get("WeightsSetRateLimit", netuid)


def _in_the_clear(view: View, netuid: int) -> None:
    if view.get("CommitRevealWeightsEnabled", netuid):
        raise view.error("CommitRevealEnabled")


def _check_values(view: View, netuid: int, uid: int, uids: Sequence[int], values: Sequence[int]) -> None:
    alone = rules.is_self_weight(uid, uids, values)
    permits = view.get("ValidatorPermit", netuid)
    if not (alone or (uid < len(permits) and permits[uid]) or _is_owners(view, netuid, uid)):
        raise view.error("NeuronNoValidatorPermit")
    if len(set(uids)) != len(uids):
        raise view.error("DuplicateUids")
    count = view.get("SubnetworkN", netuid)
    if any(other >= count for other in uids):
        raise view.error("UidVecContainInvalidOne")
    if not alone and len(values) < min(count, view.get("MinAllowedWeights", netuid)):
        raise view.error("WeightVecLengthIsLow")


def _is_owners(view: View, netuid: int, uid: int) -> bool:
    """Newer runtimes ask the hotkey of the subnet's owner for no permit (subtensor 69627c0d5)."""
    if not view.stateful_epochs:
        return False
    return bool(view.get("Uids", netuid, view.get("SubnetOwnerHotkey", netuid)) == uid)
