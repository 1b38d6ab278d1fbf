"""Weights committed as a hash and revealed by their owner."""

from collections.abc import Sequence

from strongroom_sandbox.bittensor.execution.dispatch import Context, call
from strongroom_sandbox.bittensor.pallets.shared import epochs, neurons
from strongroom_sandbox.bittensor.pallets.shared.cost import db
from strongroom_sandbox.bittensor.pallets.shared.view import SUBTENSOR, Pallet, View
from strongroom_sandbox.bittensor.pallets.weights import weights
from strongroom_sandbox.bittensor.rules import epochs as schedule
from strongroom_sandbox.bittensor.rules.weights import commit_hash

MAX_COMMITS = 10

# Runtime 293 stores (hash, block, first reveal block, last reveal block), runtime 424 (hash, epoch, block, 0).
Commit = tuple[bytes, int, int, int]
Plain = tuple[list[int], list[int], list[int], int]


@call(SUBTENSOR, "commit_weights", ref_time=db(72_300_000, reads=7, writes=2), pays_fee=False)
def commit_weights(ctx: Context, netuid: int, commit_hash: bytes) -> None:
    _commit(Pallet(ctx), netuid, 0, commit_hash)


@call(SUBTENSOR, "commit_mechanism_weights", ref_time=db(72_300_000, reads=7, writes=2), pays_fee=False)
def commit_mechanism_weights(ctx: Context, netuid: int, mecid: int, commit_hash: bytes) -> None:
    _commit(Pallet(ctx), netuid, mecid, commit_hash)


@call(SUBTENSOR, "batch_commit_weights", ref_time=db(89_380_000, reads=8, writes=2), pays_fee=False)
def batch_commit_weights(ctx: Context, netuids: list[int], commit_hashes: list[bytes]) -> None:
    """Always succeeds; what failed is told in events."""
    pallet = Pallet(ctx)
    if len(netuids) != len(commit_hashes):
        raise pallet.error("InputLengthsUnequal")

    def one(netuid: int, digest: bytes) -> None:
        _commit(pallet, netuid, 0, digest)

    weights.run_each(pallet, netuids, list(zip(netuids, commit_hashes, strict=True)), one)


@call(SUBTENSOR, "reveal_weights", ref_time=db(122_000_000, reads=16, writes=2), pays_fee=False)
def reveal_weights(
    ctx: Context, netuid: int, uids: list[int], values: list[int], salt: list[int], version_key: int
) -> None:
    _reveal(Pallet(ctx), netuid, 0, (uids, values, salt, version_key))


@call(SUBTENSOR, "reveal_mechanism_weights", ref_time=db(122_000_000, reads=16, writes=2), pays_fee=False)
def reveal_mechanism_weights(
    ctx: Context,
    netuid: int,
    mecid: int,
    uids: list[int],
    values: list[int],
    salt: list[int],
    version_key: int,
) -> None:
    _reveal(Pallet(ctx), netuid, mecid, (uids, values, salt, version_key))


@call(SUBTENSOR, "batch_reveal_weights", ref_time=db(420_500_000, reads=16, writes=2), pays_fee=False)
def batch_reveal_weights(
    ctx: Context,
    netuid: int,
    uids_list: list[list[int]],
    values_list: list[list[int]],
    salts_list: list[list[int]],
    version_keys: list[int],
) -> None:
    pallet = Pallet(ctx)
    if not len(uids_list) == len(values_list) == len(salts_list) == len(version_keys):
        raise pallet.error("InputLengthsUnequal")
    _ensure_hidden(pallet, netuid)
    commits, expired = _pending(pallet, netuid, netuid)
    plain = list(zip(uids_list, values_list, salts_list, version_keys, strict=True))
    digests = [commit_hash(ctx.signer, netuid, *reveal) for reveal in plain]
    for digest in digests:
        _find(pallet, netuid, digest, commits, expired)
    for digest, (uids, values, _, version_key) in zip(digests, plain, strict=True):
        commits.pop(_find(pallet, netuid, digest, commits, expired))
        weights.store(pallet, ctx.signer, netuid, 0, uids, values, version_key)
    _keep(pallet, netuid, commits)
    pallet.event("WeightsBatchRevealed", ctx.signer, netuid, digests)


def prepare(pallet: Pallet, netuid: int, index: int) -> int:
    """What every commit is checked for after its switch; gives the committer's uid.

    Raises:
        DispatchError: not registered, or too fast.
    """
    uid = neurons.registered_uid(pallet, netuid, pallet.signer)
    if not weights.passes_rate_limit(pallet, netuid, index, uid):
        raise pallet.error("CommittingWeightsTooFast")
    return uid


def is_in_window(view: View, netuid: int, commit: Commit) -> bool:
    """Whether the commit may be revealed in this block."""
    period = view.get("RevealPeriodEpochs", netuid)
    return epochs.current(view, netuid) == epoch_of(view, netuid, commit) + int(period)


def epoch_of(view: View, netuid: int, commit: Commit) -> int:
    if view.stateful_epochs:
        return commit[1]
    return schedule.index_at(netuid, view.get("Tempo", netuid), commit[1])


def _commit(pallet: Pallet, netuid: int, mechanism: int, digest: bytes) -> None:
    if pallet.stateful_epochs:
        weights.ensure_mechanism(pallet, netuid, mechanism)
    index = neurons.mechanism_index(netuid, mechanism)
    _ensure_hidden(pallet, netuid)
    uid = prepare(pallet, netuid, index)
    commits, _ = _split(pallet, netuid, pallet.get("WeightCommits", index, pallet.signer) or [])
    if len(commits) >= MAX_COMMITS:
        raise pallet.error("TooManyUnrevealedCommits")
    pallet.put("WeightCommits", index, pallet.signer, value=[*commits, _new(pallet, netuid, digest)])
    pallet.event("WeightsCommitted", pallet.signer, index, digest)
    neurons.set_last_update(pallet, index, uid)


def _new(view: View, netuid: int, digest: bytes) -> Commit:
    if view.stateful_epochs:
        return digest, epochs.current(view, netuid), view.block, 0
    tempo, period = view.get("Tempo", netuid), view.get("RevealPeriodEpochs", netuid)
    return digest, view.block, *schedule.reveal_window(netuid, tempo, view.block, period)


def _reveal(pallet: Pallet, netuid: int, mechanism: int, plain: Plain) -> None:
    index = neurons.mechanism_index(netuid, mechanism)
    _ensure_hidden(pallet, netuid)
    commits, expired = _pending(pallet, netuid, index)
    digest = commit_hash(pallet.signer, index, *plain)
    if not commits:
        raise pallet.error("ExpiredWeightCommit" if digest in expired else "NoWeightsCommitFound")
    place = _find(pallet, netuid, digest, commits, expired)
    _keep(pallet, index, commits[place + 1 :])
    uids, values, _, version_key = plain
    weights.store(pallet, pallet.signer, netuid, mechanism, uids, values, version_key)
    pallet.event("WeightsRevealed", pallet.signer, index, digest)


def _ensure_hidden(view: View, netuid: int) -> None:
    if not view.get("CommitRevealWeightsEnabled", netuid):
        raise view.error("CommitRevealDisabled")


def _pending(pallet: Pallet, netuid: int, index: int) -> tuple[list[Commit], list[bytes]]:
    stored = pallet.get("WeightCommits", index, pallet.signer)
    if stored is None:
        raise pallet.error("NoWeightsCommitFound")
    return _split(pallet, netuid, stored)


def _split(view: View, netuid: int, stored: Sequence[Commit]) -> tuple[list[Commit], list[bytes]]:
    """The commits that still count, and the hashes of those expired in front of them."""
    now, period = epochs.current(view, netuid), view.get("RevealPeriodEpochs", netuid)
    expired: list[bytes] = []
    for commit in stored:
        if now <= epoch_of(view, netuid, commit) + period:
            break
        expired.append(commit[0])
    return list(stored[len(expired) :]), expired


def _find(view: View, netuid: int, digest: bytes, commits: Sequence[Commit], expired: Sequence[bytes]) -> int:
    place = next((place for place, commit in enumerate(commits) if commit[0] == digest), None)
    if place is None:
        raise view.error("ExpiredWeightCommit" if digest in expired else "InvalidRevealCommitHashNotMatch")
    if not is_in_window(view, netuid, commits[place]):
        raise view.error("RevealTooEarly")
    return place


def _keep(pallet: Pallet, index: int, commits: Sequence[Commit]) -> None:
    if commits:
        pallet.put("WeightCommits", index, pallet.signer, value=list(commits))
    else:
        pallet.remove("WeightCommits", index, pallet.signer)
