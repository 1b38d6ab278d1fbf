"""What the pool refuses of weights, commits and reveals.

Runtime 293 asks for stake alone; runtime 424 also for the rate limit and for a commit that can be revealed now.
"""

from collections.abc import Iterable
from typing import Any, Final

from strongroom_sandbox.bittensor.pallets.pool_checks.codes import refuses
from strongroom_sandbox.bittensor.pallets.shared import neurons, stakes
from strongroom_sandbox.bittensor.pallets.shared.view import View
from strongroom_sandbox.bittensor.pallets.weights import commit_reveal, weights
from strongroom_sandbox.bittensor.rules.weights import commit_hash

_LEAST_PRIORITY: Final = (1 << 32) - 1


@refuses("set_weights", "set_mechanism_weights")
def _set_weights(view: View, hotkey: bytes, *, netuid: int, mecid: int = 0, **_others: Any) -> int | None:
    _ensure_stake(view, hotkey, [netuid])
    if view.stateful_epochs and not view.get("CommitRevealWeightsEnabled", netuid):
        _ensure_pace(view, hotkey, netuid, mecid, "SettingWeightsTooFast")
    return _priority(view, hotkey, netuid)


@refuses("commit_weights", "commit_mechanism_weights")
def _commit_weights(view: View, hotkey: bytes, *, netuid: int, mecid: int = 0, **_others: Any) -> int | None:
    _ensure_stake(view, hotkey, [netuid])
    if view.stateful_epochs:
        _ensure_pace(view, hotkey, netuid, mecid, "CommittingWeightsTooFast")
    return _priority(view, hotkey, netuid)


@refuses("commit_crv3_weights")
def _commit_crv3(view: View, hotkey: bytes, *, netuid: int, **_others: Any) -> int | None:
    _ensure_stake(view, hotkey, [netuid])
    return _priority(view, hotkey, netuid)


@refuses("commit_timelocked_weights", "commit_timelocked_mechanism_weights", "commit_crv3_mechanism_weights")
def _commit_timelocked(view: View, hotkey: bytes, *, netuid: int, reveal_round: int, **_others: Any) -> None:
    _ensure_stake(view, hotkey, [netuid])
    if reveal_round < view.storage.get("Drand", "LastStoredRound"):
        raise view.error("InvalidRevealRound")


@refuses("reveal_weights", "reveal_mechanism_weights")
def _reveal(view: View, hotkey: bytes, *, netuid: int, mecid: int = 0, **plain: Any) -> int | None:
    _ensure_stake(view, hotkey, [netuid])
    if view.stateful_epochs:
        reveal = (plain["uids"], plain["values"], plain["salt"], plain["version_key"])
        _ensure_revealable(view, hotkey, netuid, mecid, [reveal])
    return _priority(view, hotkey, netuid)


@refuses("batch_reveal_weights")
def _batch_reveal(view: View, hotkey: bytes, *, netuid: int, **lists: Any) -> int | None:
    if view.stateful_epochs:
        _ensure_equal(view, lists.values())
    _ensure_stake(view, hotkey, [netuid])
    if view.stateful_epochs:
        names = ("uids_list", "values_list", "salts_list", "version_keys")
        reveals = list(zip(*(lists[name] for name in names), strict=True))
        _ensure_revealable(view, hotkey, netuid, 0, reveals)
    return _priority(view, hotkey, netuid)


@refuses("batch_set_weights", "batch_commit_weights", since_424=True)
def _batch(view: View, hotkey: bytes, *, netuids: list[int], **lists: Any) -> None:
    _ensure_equal(view, [netuids, *lists.values()])
    _ensure_stake(view, hotkey, netuids)


def _priority(view: View, hotkey: bytes, netuid: int) -> int | None:
    """Runtime 293 puts weights behind all else, those longest without an update first; 424 has no opinion."""
    if view.stateful_epochs:
        return None
    uid = neurons.uid_of(view, netuid, hotkey)
    if uid is None:
        return 0
    return _LEAST_PRIORITY + view.block - neurons.last_update(view, netuid, uid)


def _ensure_stake(view: View, hotkey: bytes, netuids: Iterable[int]) -> None:
    if not all(stakes.may_set_weights(view, netuid, hotkey) for netuid in netuids):
        raise view.error("NotEnoughStakeToSetWeights")


def _ensure_pace(view: View, hotkey: bytes, netuid: int, mechanism: int, error: str) -> None:
    uid = neurons.uid_of(view, netuid, hotkey)
    index = neurons.mechanism_index(netuid, mechanism)
    if uid is not None and not weights.passes_rate_limit(view, netuid, index, uid):
        raise view.error(error)


def _ensure_revealable(
    view: View, hotkey: bytes, netuid: int, mechanism: int, reveals: Iterable[tuple[Any, ...]]
) -> None:
    index = neurons.mechanism_index(netuid, mechanism)
    commits = {commit[0]: commit for commit in view.get("WeightCommits", index, hotkey) or []}
    for reveal in reveals:
        commit = commits.get(commit_hash(hotkey, index, *reveal))
        if commit is None:
            raise view.error("NoWeightsCommitFound")
        if not commit_reveal.is_in_window(view, netuid, commit):
            raise view.error("RevealTooEarly")


def _ensure_equal(view: View, lists: Iterable[Any]) -> None:
    if len({len(items) for items in lists}) != 1:
        raise view.error("InputLengthsUnequal")
