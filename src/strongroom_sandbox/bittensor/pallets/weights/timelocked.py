"""Weights committed as ciphertext that drand opens; the chain reveals them by itself.

No drand runs here: a simulated reveal takes the weights from a register that the maker of the ciphertext fills
(`REVEALS`), because the ciphertext cannot be opened without the beacon. A ciphertext that is not in it is like one whose
pulse the chain does not have: dropped on runtime 293, tried again until the epoch ends on 424.
"""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from strongroom_sandbox.bittensor.execution.dispatch import Context, call
from strongroom_sandbox.bittensor.pallets.shared import epochs, neurons
from strongroom_sandbox.bittensor.pallets.shared.cost import db
from strongroom_sandbox.bittensor.pallets.shared.view import SUBTENSOR, Pallet, View
from strongroom_sandbox.bittensor.pallets.weights import commit_reveal, weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """What a ciphertext hides."""

    uids: list[int]
    values: list[int]
    version_key: int


@dataclass(slots=True)
class Reveals:
    """What is known of ciphertexts, by their blake2b-256."""

    known: dict[bytes, Plain] = field(default_factory=dict)

    def add(self, ciphertext: bytes, plain: Plain) -> None:
        self.known[_hash(ciphertext)] = plain


REVEALS = Reveals()
"""Of every chain in this process: a ciphertext hides the same everywhere."""


@call(SUBTENSOR, "commit_crv3_weights", ref_time=db(73_750_000, reads=6, writes=2), pays_fee=False)
def commit_crv3_weights(ctx: Context, netuid: int, commit: bytes, reveal_round: int) -> None:
    """Runtime 293."""
    pallet = Pallet(ctx)
    if not pallet.get("CommitRevealWeightsEnabled", netuid):
        raise pallet.error("CommitRevealDisabled")
    uid = commit_reveal.prepare(pallet, netuid, netuid)
    epoch = epochs.current(pallet, netuid) + epochs.is_due(pallet, netuid)
    _append(pallet, "CRV3WeightCommits", netuid, epoch, (ctx.signer, commit, reveal_round))
    pallet.event("CRV3WeightsCommitted", ctx.signer, netuid, _hash(commit))
    neurons.set_last_update(pallet, netuid, uid)


@call(SUBTENSOR, "commit_timelocked_weights", ref_time=db(73_750_000, reads=6, writes=2), pays_fee=False)
def commit_timelocked_weights(
    ctx: Context, netuid: int, commit: bytes, reveal_round: int, commit_reveal_version: int
) -> None:
    """Runtime 424."""
    _commit(Pallet(ctx), netuid, 0, commit, reveal_round, commit_reveal_version)


@call(
    SUBTENSOR,
    "commit_timelocked_mechanism_weights",
    ref_time=db(73_750_000, reads=6, writes=2),
    pays_fee=False,
)
def commit_timelocked_mechanism_weights(
    ctx: Context, netuid: int, mecid: int, commit: bytes, reveal_round: int, commit_reveal_version: int
) -> None:
    """Runtime 424."""
    _commit(Pallet(ctx), netuid, mecid, commit, reveal_round, commit_reveal_version)


@call(SUBTENSOR, "commit_crv3_mechanism_weights", ref_time=db(73_750_000, reads=6, writes=2), pays_fee=False)
def commit_crv3_mechanism_weights(
    ctx: Context, netuid: int, mecid: int, commit: bytes, reveal_round: int
) -> None:
    """Runtime 424: the same with the version taken for granted."""
    pallet = Pallet(ctx)
    _commit(pallet, netuid, mecid, commit, reveal_round, pallet.get("CommitRevealWeightsVersion"))


def last_ciphertext(view: View, index: int, hotkey: bytes) -> bytes | None:
    """Of the commits of a hotkey that wait on a subnet (or a mechanism's index), the last."""
    epochs_of = sorted(view.entries(_item(view), index), key=lambda entry: entry[0][1])
    waiting = [entry[-2] for _, entries in epochs_of for entry in entries if entry[0] == hotkey]
    return waiting[-1] if waiting else None


def reveal_due(pallet: Pallet, netuid: int) -> None:
    """Opens the commits whose time has come; on 293 in the block of an epoch, on 424 in every block."""
    item = _item(pallet)
    count = pallet.get("MechanismCountCurrent", netuid) if pallet.stateful_epochs else 1
    now, period = epochs.current(pallet, netuid), pallet.get("RevealPeriodEpochs", netuid)
    due = now - (period if pallet.stateful_epochs else max(period - 1, 0))
    for mechanism in range(count):
        index = neurons.mechanism_index(netuid, mechanism)
        for (_, epoch), entries in pallet.entries(item, index):
            if epoch > due:
                continue
            closed = [entry for entry in entries if epoch == due and not _is_open(entry)]
            if closed and pallet.stateful_epochs:
                pallet.put(item, index, epoch, value=closed)  # tried again in every block of the epoch
            else:
                pallet.remove(item, index, epoch)
            for entry in entries:
                if epoch == due and entry not in closed:
                    _reveal(pallet, netuid, mechanism, entry[0], REVEALS.known[_hash(entry[-2])])


def _commit(
    pallet: Pallet, netuid: int, mechanism: int, commit: bytes, reveal_round: int, version: int
) -> None:
    weights.ensure_mechanism(pallet, netuid, mechanism)
    index = neurons.mechanism_index(netuid, mechanism)
    if not pallet.get("CommitRevealWeightsEnabled", netuid):
        raise pallet.error("CommitRevealDisabled")
    if version != pallet.get("CommitRevealWeightsVersion"):
        raise pallet.error("IncorrectCommitRevealVersion")
    uid = commit_reveal.prepare(pallet, netuid, index)
    epoch = epochs.current(pallet, netuid)
    entry = (pallet.signer, pallet.block, commit, reveal_round)
    _append(pallet, "TimelockedWeightCommits", index, epoch, entry)
    pallet.event("TimelockedWeightsCommitted", pallet.signer, index, _hash(commit), reveal_round)
    neurons.set_last_update(pallet, index, uid)


def _append(pallet: Pallet, item: str, index: int, epoch: int, entry: tuple[Any, ...]) -> None:
    stored = pallet.get(item, index, epoch)
    if sum(other[0] == pallet.signer for other in stored) >= commit_reveal.MAX_COMMITS:
        raise pallet.error("TooManyUnrevealedCommits")
    pallet.put(item, index, epoch, value=[*stored, entry])


def _item(view: View) -> str:
    return "TimelockedWeightCommits" if view.stateful_epochs else "CRV3WeightCommits"


def _is_open(entry: tuple[Any, ...]) -> bool:
    return _hash(entry[-2]) in REVEALS.known


def _reveal(pallet: Pallet, netuid: int, mechanism: int, hotkey: bytes, plain: Plain) -> None:
    failure = pallet.attempt(
        weights.store, pallet, hotkey, netuid, mechanism, plain.uids, plain.values, plain.version_key
    )
    if failure is None:
        index = neurons.mechanism_index(netuid, mechanism)
        name = "TimelockedWeightsRevealed" if pallet.stateful_epochs else "CRV3WeightsRevealed"
        pallet.event(name, index, hotkey)


def _hash(ciphertext: bytes) -> bytes:
    return blake2b(ciphertext, digest_size=32).digest()
