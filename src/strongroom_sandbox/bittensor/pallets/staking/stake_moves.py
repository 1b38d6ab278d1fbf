"""Stake moves: to another hotkey, coldkey or subnet, through TAO."""

from typing import NamedTuple

from strongroom_sandbox.bittensor.execution.dispatch import Context, call
from strongroom_sandbox.bittensor.execution.failures import DispatchError
from strongroom_sandbox.bittensor.pallets.shared import coldkeys, neurons, stakes
from strongroom_sandbox.bittensor.pallets.shared.cost import free_once
from strongroom_sandbox.bittensor.pallets.shared.view import SUBTENSOR, Pallet, View
from strongroom_sandbox.bittensor.pallets.staking import staking
from strongroom_sandbox.bittensor.rules.pool import Side


class StakePosition(NamedTuple):
    """Where stake lies."""

    hotkey: bytes
    coldkey: bytes
    netuid: int


@call(
    SUBTENSOR,
    "move_stake",
    weight=free_once(419_500_000, reads=32, writes=20, dispatch_class="Operational"),
)
def move_stake(
    ctx: Context,
    origin_hotkey: bytes,
    destination_hotkey: bytes,
    origin_netuid: int,
    destination_netuid: int,
    alpha_amount: int,
) -> None:
    pallet = Pallet(ctx)
    source = StakePosition(origin_hotkey, ctx.signer, origin_netuid)
    target = StakePosition(destination_hotkey, ctx.signer, destination_netuid)
    tao = _move(pallet, source, target, alpha_amount)
    pallet.event(
        "StakeMoved", ctx.signer, origin_hotkey, origin_netuid, destination_hotkey, destination_netuid, tao
    )


@call(
    SUBTENSOR,
    "transfer_stake",
    weight=free_once(432_600_000, reads=31, writes=19, dispatch_class="Operational"),
)
def transfer_stake(
    ctx: Context,
    destination_coldkey: bytes,
    hotkey: bytes,
    origin_netuid: int,
    destination_netuid: int,
    alpha_amount: int,
) -> None:
    pallet = Pallet(ctx)
    source = StakePosition(hotkey, ctx.signer, origin_netuid)
    target = StakePosition(hotkey, destination_coldkey, destination_netuid)
    tao = _move(pallet, source, target, alpha_amount)
    pallet.event(
        "StakeTransferred", ctx.signer, destination_coldkey, hotkey, origin_netuid, destination_netuid, tao
    )


@call(
    SUBTENSOR,
    "swap_stake",
    weight=free_once(351_300_000, reads=32, writes=17, dispatch_class="Operational"),
)
def swap_stake(
    ctx: Context, hotkey: bytes, origin_netuid: int, destination_netuid: int, alpha_amount: int
) -> None:
    pallet = Pallet(ctx)
    source = StakePosition(hotkey, ctx.signer, origin_netuid)
    tao = _move(pallet, source, StakePosition(hotkey, ctx.signer, destination_netuid), alpha_amount)
    pallet.event("StakeSwapped", ctx.signer, hotkey, origin_netuid, destination_netuid, tao)


def check(view: View, source: StakePosition, target: StakePosition, amount: int) -> None:
    """In the chain's order.

    Raises:
        DispatchError: the first check that fails.
    """
    if source == target:
        raise view.error("SameNetuid")
    staking.check_pace(view, source.hotkey, source.coldkey, source.netuid)
    _check_places(view, source, target)
    if amount > stakes.held(view, *source):
        raise view.error("NotEnoughStakeToWithdraw")
    try:
        worth = stakes.simulate(view, source.netuid, Side.SELL, amount).paid_out
    except DispatchError as error:
        raise view.error("InsufficientLiquidity") from error
    if worth <= stakes.LEAST_STAKE:
        raise view.error("AmountTooLow")
    if source.coldkey != target.coldkey:
        _ensure_transferable(view, source, target)


def _check_places(view: View, source: StakePosition, target: StakePosition) -> None:
    netuids = (source.netuid, target.netuid)
    if not all(neurons.exists(view, netuid) for netuid in netuids):
        raise view.error("SubnetNotExists")
    for netuid in netuids:
        staking.ensure_enabled(view, netuid)
    if not all(view.contains("Owner", hotkey) for hotkey in (source.hotkey, target.hotkey)):
        raise view.error("HotKeyAccountNotExists")


def _ensure_transferable(view: View, source: StakePosition, target: StakePosition) -> None:
    for netuid in (source.netuid, target.netuid):
        if not view.get("TransferToggle", netuid):
            raise view.error("TransferDisallowed")


def _move(pallet: Pallet, source: StakePosition, target: StakePosition, amount: int) -> int:
    """Gives the TAO that went through."""
    check(pallet, source, target, amount)
    tao = staking.unstake(pallet, source.hotkey, source.coldkey, source.netuid, amount, free=True)
    if not neurons.owns(pallet, target.coldkey, target.hotkey):
        staking.become_delegate(pallet, target.hotkey)
    if pallet.stateful_epochs and source.netuid != target.netuid:
        accounts = [coldkeys.subnet_account(netuid) for netuid in (source.netuid, target.netuid)]
        coldkeys.transfer(pallet.ctx, accounts[0], accounts[1], tao)
    staking.credit(pallet, target.hotkey, target.coldkey, target.netuid, tao)
    return tao
