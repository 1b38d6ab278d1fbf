"""The epochs of a subnet: when they are, and what one leaves in storage.

Runtime 293 runs one when (block + netuid + 1) % (tempo + 1) comes round; runtime 424 counts from the last one.
"""

from typing import Final

from strongroom_sandbox.bittensor.pallets.shared import neurons, stakes
from strongroom_sandbox.bittensor.pallets.shared.view import Pallet, View
from strongroom_sandbox.bittensor.rules import consensus
from strongroom_sandbox.bittensor.rules import epochs as schedule

_MAX_TEMPO: Final = 50_400
_VECTORS: Final = {
    "StakeWeight": "stake",
    "ValidatorPermit": "permits",
    "Rank": "rank",
    "Trust": "trust",
    "ValidatorTrust": "validator_trust",
    "Consensus": "consensus",
    "Incentive": "rank",
    "Dividends": "dividends",
    "PruningScores": "pruning",
}


_DRAINED: Final = (
    *("PendingEmission", "PendingRootDivs", "PendingAlphaSwapped", "PendingOwnerCut"),
    *("PendingServerEmission", "PendingValidatorEmission", "PendingRootAlphaDivs"),
)


def is_due(view: View, netuid: int) -> bool:
    """Returns whether this block runs the subnet's epoch."""
    tempo = view.get("Tempo", netuid)
    if not tempo:
        return False
    if not view.stateful_epochs:
        return schedule.blocks_until(netuid, tempo, view.block) == 0
    pending = view.get("PendingEpochAt", netuid)
    if 0 < pending <= view.block or view.get("BlocksSinceLastStep", netuid) > _MAX_TEMPO:
        return True
    return bool(view.block - view.get("LastEpochBlock", netuid) >= tempo)


def activity_cutoff(view: View, netuid: int) -> int:
    """Returns after how many blocks without weights a validator no longer counts."""
    if view.has_item("ActivityCutoffFactorMilli"):
        factor = view.get("ActivityCutoffFactorMilli", netuid)
        return max(1, int(factor * view.get("Tempo", netuid) // 1000))
    return int(view.get("ActivityCutoff", netuid))


def current(view: View, netuid: int) -> int:
    """Returns the number of the epoch that a commit in this block belongs to."""
    if view.stateful_epochs:
        return int(view.get("SubnetEpochIndex", netuid)) + is_due(view, netuid)
    return schedule.index_at(netuid, view.get("Tempo", netuid), view.block)


def advance(pallet: Pallet, netuid: int) -> bool:
    """Counts the block, and runs the epoch if it is due; says whether it did."""
    due = is_due(pallet, netuid)
    pallet.put(
        "BlocksSinceLastStep", netuid, value=0 if due else pallet.get("BlocksSinceLastStep", netuid) + 1
    )
    if not due:
        return False
    if pallet.stateful_epochs:
        pallet.put("PendingEpochAt", netuid, value=0)
        pallet.put("LastEpochBlock", netuid, value=pallet.block)
        pallet.put("SubnetEpochIndex", netuid, value=pallet.get("SubnetEpochIndex", netuid) + 1)
    _run(pallet, netuid)
    pallet.put("LastMechansimStepBlock", netuid, value=pallet.block)
    return True


def _run(pallet: Pallet, netuid: int) -> None:
    """Consensus over the weights there are. No emission is paid here: the chain's own economy is no part of this."""
    keys = neurons.hotkeys(pallet, netuid)
    threshold = pallet.get("StakeThreshold")
    weighed = [stakes.weight_of(pallet, netuid, key) for key in keys]
    held = [stake if stake >= threshold else 0 for stake in weighed]
    updates, cutoff = pallet.get("LastUpdate", netuid), activity_cutoff(pallet, netuid)
    active = [update + cutoff >= pallet.block for update in updates[: len(keys)]]
    permits = pallet.get("ValidatorPermit", netuid)
    voters = [here and permitted for here, permitted in zip(active, permits, strict=True)]
    outcome = consensus.epoch(
        held,
        voters,
        [_votes(pallet, netuid, uid) for uid in range(len(keys))],
        kappa=pallet.get("Kappa", netuid),
        most_permits=pallet.get("MaxAllowedValidators", netuid),
    )
    for item, field in _VECTORS.items():
        if pallet.has_item(item):
            pallet.put(item, netuid, value=getattr(outcome, field))
    for item in _DRAINED:
        if pallet.has_item(item):
            pallet.put(item, netuid, value=0)
    pallet.put("Active", netuid, value=active)
    pallet.put("Emission", netuid, value=[0] * len(keys))


def _votes(view: View, netuid: int, uid: int) -> dict[int, int]:
    """A row of weights without the own uid and without those who registered after it was set."""
    updates, owner = view.get("LastUpdate", netuid), view.get("SubnetOwnerHotkey", netuid)
    own = view.get("Keys", netuid, uid) != owner
    return {
        other: value
        for other, value in view.get("Weights", netuid, uid)
        if not (own and other == uid) and view.get("BlockAtRegistration", netuid, other) < updates[uid]
    }
