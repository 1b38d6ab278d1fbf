"""What happens in every block: registrations are counted anew, epochs run, commits open, childkeys take effect."""

from strongroom_sandbox.bittensor.execution.dispatch import Context, on_finalize, on_initialize
from strongroom_sandbox.bittensor.pallets.shared import epochs, neurons
from strongroom_sandbox.bittensor.pallets.shared.view import Pallet
from strongroom_sandbox.bittensor.pallets.staking import children
from strongroom_sandbox.bittensor.pallets.weights import timelocked
from strongroom_sandbox.bittensor.rules import prices

ROOT = 0


@on_initialize
def step(ctx: Context) -> None:
    pallet = Pallet(ctx)
    for netuid in neurons.netuids(pallet):
        _price_registrations(pallet, netuid)
    for netuid in neurons.netuids(pallet):
        if netuid != ROOT:
            _run_subnet(pallet, netuid)


@on_finalize
def clear_stake_limits(ctx: Context) -> None:
    if ctx.has_item("SubtensorModule", "StakingOperationRateLimiter"):
        ctx.remove_under("SubtensorModule", "StakingOperationRateLimiter")


def _run_subnet(pallet: Pallet, netuid: int) -> None:
    if pallet.stateful_epochs or epochs.is_due(pallet, netuid):
        timelocked.reveal_due(pallet, netuid)
    if epochs.advance(pallet, netuid):
        children.apply_pending(pallet, netuid)


def _price_registrations(pallet: Pallet, netuid: int) -> None:
    pallet.put("RegistrationsThisBlock", netuid, value=0)
    bounds = {"least": pallet.get("MinBurn", netuid), "most": pallet.get("MaxBurn", netuid)}
    burn = pallet.get("Burn", netuid)
    if pallet.stateful_epochs:
        burn = prices.decayed_burn(burn=burn, half_life=pallet.get("BurnHalfLife", netuid), **bounds)
        pallet.put("Burn", netuid, value=burn)
        return
    if pallet.block - pallet.get("LastAdjustmentBlock", netuid) < pallet.get("AdjustmentInterval", netuid):
        return
    adjusted = prices.adjusted_burn(
        burn=burn,
        registrations=pallet.get("RegistrationsThisInterval", netuid),
        target=pallet.get("TargetRegistrationsPerInterval", netuid),
        alpha=pallet.get("AdjustmentAlpha", netuid),
        **bounds,
    )
    pallet.put("Burn", netuid, value=adjusted)
    pallet.put("LastAdjustmentBlock", netuid, value=pallet.block)
    for item in (
        "RegistrationsThisInterval",
        "POWRegistrationsThisInterval",
        "BurnRegistrationsThisInterval",
    ):
        pallet.put(item, netuid, value=0)
