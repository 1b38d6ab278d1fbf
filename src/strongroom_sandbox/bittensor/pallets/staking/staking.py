"""Staking: TAO into a subnet's alpha with a hotkey, and back."""

from typing import Final

from strongroom_sandbox.bittensor.execution.dispatch import Context, call
from strongroom_sandbox.bittensor.execution.failures import DispatchError
from strongroom_sandbox.bittensor.pallets.shared import coldkeys, neurons, stakes
from strongroom_sandbox.bittensor.pallets.shared.cost import free_once
from strongroom_sandbox.bittensor.pallets.shared.view import SUBTENSOR, Pallet, View
from strongroom_sandbox.bittensor.rules import pool
from strongroom_sandbox.bittensor.rules.pool import MIN_PRICE, Side

ROOT: Final = 0
_MAX_INPUT: Final = 1_000


@call(SUBTENSOR, "add_stake", weight=free_once(345_500_000, reads=26, writes=15))
def add_stake(ctx: Context, hotkey: bytes, netuid: int, amount_staked: int) -> None:
    pallet = Pallet(ctx)
    _check_depth(pallet, netuid, amount_staked)
    if not pallet.stateful_epochs:
        ensure_enabled(pallet, netuid)
    check_add(pallet, ctx.signer, hotkey, netuid, amount_staked, amount_staked)
    stake(pallet, hotkey, ctx.signer, netuid, amount_staked)


@call(SUBTENSOR, "add_stake_limit", weight=free_once(402_800_000, reads=26, writes=15))
def add_stake_limit(
    ctx: Context, hotkey: bytes, netuid: int, amount_staked: int, limit_price: int, allow_partial: bool
) -> None:
    pallet = Pallet(ctx)
    _check_depth(pallet, netuid, amount_staked)
    most = most_within(pallet, netuid, Side.BUY, limit_price)
    check_add(pallet, ctx.signer, hotkey, netuid, amount_staked, most, partial=allow_partial)
    if not neurons.owns(pallet, ctx.signer, hotkey):
        become_delegate(pallet, hotkey)
    stake(pallet, hotkey, ctx.signer, netuid, min(amount_staked, most), limit_price)


@call(SUBTENSOR, "remove_stake", weight=free_once(196_800_000, reads=19, writes=10))
def remove_stake(ctx: Context, hotkey: bytes, netuid: int, amount_unstaked: int) -> None:
    _remove(Pallet(ctx), hotkey, netuid, amount_unstaked)


@call(SUBTENSOR, "remove_stake_limit", weight=free_once(403_800_000, reads=30, writes=14))
def remove_stake_limit(
    ctx: Context, hotkey: bytes, netuid: int, amount_unstaked: int, limit_price: int, allow_partial: bool
) -> None:
    _remove(Pallet(ctx), hotkey, netuid, amount_unstaked, limit_price, partial=allow_partial)


@call(SUBTENSOR, "remove_stake_full_limit", weight=free_once(398_000_000, reads=30, writes=14))
def remove_stake_full_limit(ctx: Context, hotkey: bytes, netuid: int, limit_price: int | None) -> None:
    pallet = Pallet(ctx)
    _remove(pallet, hotkey, netuid, stakes.held(pallet, hotkey, ctx.signer, netuid), limit_price)


@call(SUBTENSOR, "unstake_all", weight=free_once(30_190_000, reads=6, writes=0, dispatch_class="Operational"))
def unstake_all(ctx: Context, hotkey: bytes) -> None:
    pallet = Pallet(ctx)
    for netuid, alpha in removable(pallet, ctx.signer, hotkey):
        tao = unstake(pallet, hotkey, ctx.signer, netuid, alpha)
        coldkeys.earn(pallet, ctx.signer, tao, netuid)


@call(
    SUBTENSOR,
    "unstake_all_alpha",
    weight=free_once(369_500_000, reads=33, writes=16, dispatch_class="Operational"),
)
def unstake_all_alpha(ctx: Context, hotkey: bytes) -> None:
    """Everything but the root stake goes to the root network."""
    pallet = Pallet(ctx)
    total = sum(
        unstake(pallet, hotkey, ctx.signer, netuid, alpha)
        for netuid, alpha in removable(pallet, ctx.signer, hotkey)
        if netuid != ROOT
    )
    credit(pallet, hotkey, ctx.signer, ROOT, total)


def stake(
    pallet: Pallet, hotkey: bytes, coldkey: bytes, netuid: int, tao: int, limit: int | None = None
) -> None:
    """Takes TAO from the coldkey and stakes it."""
    spent = coldkeys.spend(pallet, coldkey, tao, netuid)
    credit(pallet, hotkey, coldkey, netuid, spent, limit)
    if pallet.has_item("StakingOperationRateLimiter"):
        pallet.put("StakingOperationRateLimiter", hotkey, coldkey, netuid, value=True)


def credit(
    pallet: Pallet, hotkey: bytes, coldkey: bytes, netuid: int, tao: int, limit: int | None = None
) -> None:
    """Stakes TAO that has been taken already, event StakeAdded.

    Raises:
        DispatchError: AmountTooLow, or the pool cannot do it.
    """
    swap = stakes.buy(pallet, netuid, tao, limit)
    if not swap.paid_out:
        raise pallet.error("AmountTooLow")
    stakes.add(pallet, hotkey, coldkey, netuid, swap.paid_out)
    pallet.put("LastColdkeyHotkeyStakeBlock", coldkey, hotkey, value=pallet.block)
    pallet.event("StakeAdded", coldkey, hotkey, tao, swap.paid_out, netuid, swap.fee)


def unstake(
    pallet: Pallet,
    hotkey: bytes,
    coldkey: bytes,
    netuid: int,
    alpha: int,
    limit: int = MIN_PRICE,
    *,
    free: bool = False,
) -> int:
    """Sells stake, event StakeRemoved; gives the TAO, which is nobody's yet. `free`: without the pool's fee."""
    taken = -stakes.add(pallet, hotkey, coldkey, netuid, -alpha)
    swap = stakes.sell(pallet, netuid, taken, limit, free=free)
    rest = taken - swap.paid_in - swap.fee
    if rest > 0:
        stakes.add(pallet, hotkey, coldkey, netuid, rest)
    pallet.put("LastColdkeyHotkeyStakeBlock", coldkey, hotkey, value=pallet.block)
    told = swap.paid_in if pallet.stateful_epochs else taken
    pallet.event("StakeRemoved", coldkey, hotkey, swap.paid_out, told, netuid, swap.fee)
    return swap.paid_out


def check_add(
    view: View,
    coldkey: bytes,
    hotkey: bytes,
    netuid: int,
    amount: int,
    most: int,
    *,
    partial: bool = False,
) -> None:
    """In the chain's order.

    Raises:
        DispatchError: the first check that fails.
    """
    if not neurons.exists(view, netuid):
        raise view.error("SubnetNotExists")
    ensure_enabled(view, netuid)
    fee = pool.fee_of(stakes.LEAST_STAKE, view.other("Swap").get("FeeRate", netuid))
    if amount < stakes.LEAST_STAKE + (fee if stakes.is_dynamic(view, netuid) else 0):
        raise view.error("AmountTooLow")
    if not partial and amount > most:
        raise view.error("SlippageTooHigh")
    amount = min(amount, most)
    if not coldkeys.can_pay(view, coldkey, amount):
        raise view.error("NotEnoughBalanceToStake")
    if not view.contains("Owner", hotkey):
        raise view.error("HotKeyAccountNotExists")
    swap = _simulated(view, netuid, Side.BUY, amount)
    if swap.paid_in < stakes.LEAST_STAKE:
        raise view.error("AmountTooLow")
    if not swap.paid_out:
        raise view.error("InsufficientLiquidity")


def check_remove(
    view: View,
    coldkey: bytes,
    hotkey: bytes,
    netuid: int,
    amount: int,
    most: int,
    *,
    partial: bool = False,
) -> None:
    """In the chain's order.

    Raises:
        DispatchError: the first check that fails.
    """
    if not neurons.exists(view, netuid):
        raise view.error("SubnetNotExists")
    check_pace(view, hotkey, coldkey, netuid)
    if not amount:
        raise view.error("AmountTooLow")
    held = stakes.held(view, hotkey, coldkey, netuid)
    if held < amount:
        raise view.error("NotEnoughStakeToWithdraw")
    if _simulated(view, netuid, Side.SELL, amount).paid_out < stakes.LEAST_STAKE and held > amount:
        raise view.error("AmountTooLow")
    if not partial and amount > most:
        raise view.error("SlippageTooHigh")
    if not view.contains("Owner", hotkey):
        raise view.error("HotKeyAccountNotExists")


def removable(view: View, coldkey: bytes, hotkey: bytes) -> list[tuple[int, int]]:
    """(netuid, alpha) of all that can be unstaked now.

    Raises:
        DispatchError: HotKeyAccountNotExists.
    """
    if not view.contains("Owner", hotkey):
        raise view.error("HotKeyAccountNotExists")
    found = []
    for netuid in neurons.netuids(view):
        alpha = stakes.held(view, hotkey, coldkey, netuid)
        try:
            check_remove(view, coldkey, hotkey, netuid, alpha, alpha)
        except DispatchError:
            continue
        if view.get("SubtokenEnabled", netuid):
            found.append((netuid, alpha))
    return found


def check_pace(view: View, hotkey: bytes, coldkey: bytes, netuid: int) -> None:
    """On 293 stake may not leave in the block it came in."""
    item = "StakingOperationRateLimiter"
    if view.has_item(item) and view.contains(item, hotkey, coldkey, netuid):
        raise view.error("StakingOperationRateLimitExceeded")


def ensure_enabled(view: View, netuid: int) -> None:
    if not view.get("SubtokenEnabled", netuid):
        raise view.error("SubtokenDisabled")


def most_within(view: View, netuid: int, side: Side, limit: int) -> int:
    """How much a price limit lets through.

    Raises:
        DispatchError: ZeroMaxStakeAmount on 293, the pool's own error on 424.
    """
    try:
        most = stakes.most_until(view, netuid, side, limit)
    except DispatchError:
        if view.stateful_epochs:
            raise
        most = 0
    if not most and not view.stateful_epochs:
        raise view.error("ZeroMaxStakeAmount")
    return most


def become_delegate(pallet: Pallet, hotkey: bytes) -> None:
    """Others than its owner stake with it now."""
    if not pallet.contains("Delegates", hotkey):
        pallet.put("Delegates", hotkey, value=pallet.get("Delegates", hotkey))


def _remove(
    pallet: Pallet, hotkey: bytes, netuid: int, alpha: int, limit: int | None = None, *, partial: bool = False
) -> None:
    coldkey = pallet.signer
    if limit is None:
        ensure_enabled(pallet, netuid)
    most = alpha if limit is None else most_within(pallet, netuid, Side.SELL, limit)
    check_remove(pallet, coldkey, hotkey, netuid, alpha, most, partial=partial)
    tao = unstake(pallet, hotkey, coldkey, netuid, min(alpha, most), limit or MIN_PRICE)
    coldkeys.earn(pallet, coldkey, tao, netuid)
    if stakes.total_of_hotkey(pallet, hotkey) < pallet.get("StakeThreshold"):
        for other in neurons.netuids(pallet):
            pallet.remove("PendingChildKeys", other, hotkey)


def _check_depth(view: View, netuid: int, amount: int) -> None:
    """Runtime 424 takes no more than a thousand times what the pool has."""
    deepest = view.get("SubnetTAO", netuid) * _MAX_INPUT
    if view.stateful_epochs and stakes.is_dynamic(view, netuid) and amount > deepest:
        raise view.error("InsufficientLiquidity")


def _simulated(view: View, netuid: int, side: Side, amount: int) -> pool.Swap:
    try:
        return stakes.simulate(view, netuid, side, amount)
    except DispatchError as error:
        raise view.error("InsufficientLiquidity") from error
