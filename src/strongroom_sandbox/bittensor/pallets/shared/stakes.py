"""Stake: how much alpha each coldkey has at each hotkey, what it weighs, and the subnet's pool that sells it."""

from dataclasses import replace
from fractions import Fraction
from typing import Final

from strongroom_sandbox.bittensor.pallets.shared.view import Pallet, View
from strongroom_sandbox.bittensor.rules import fixed, shares
from strongroom_sandbox.bittensor.rules.pool import (
    MAX_PRICE,
    RAO,
    Pool,
    Side,
    Swap,
    begin,
    price,
    swap_on_curve,
    swap_on_reserves,
)

ROOT: Final = 0
LEAST_STAKE: Final = 2_000_000
DYNAMIC: Final = 1
LEAST_RESERVE: Final = 1_000_000
_MAX_INPUT: Final = 1_000
_U64_MAX: Final = (1 << 64) - 1


# What a coldkey holds with a hotkey


def share_pool(view: View, hotkey: bytes, coldkey: bytes, netuid: int) -> shares.SharePool:
    return shares.SharePool(
        value=view.get("TotalHotkeyAlpha", hotkey, netuid),
        total=view.get("TotalHotkeyShares", hotkey, netuid)["bits"],
        share=view.get("Alpha", hotkey, coldkey, netuid)["bits"],
    )


def held(view: View, hotkey: bytes, coldkey: bytes, netuid: int) -> int:
    """Returns the stake in alpha rao; on the root network in rao."""
    return share_pool(view, hotkey, coldkey, netuid).owned


def add(pallet: Pallet, hotkey: bytes, coldkey: bytes, netuid: int, amount: int) -> int:
    """Adds alpha, which may be negative; returns what was really added."""
    pool, added = shares.change(share_pool(pallet, hotkey, coldkey, netuid), amount)
    pallet.put_or_remove("TotalHotkeyAlpha", hotkey, netuid, value=pool.value, empty=not pool.value)
    pallet.put_or_remove(
        "TotalHotkeyShares", hotkey, netuid, value={"bits": pool.total}, empty=not pool.total
    )
    pallet.put_or_remove("Alpha", hotkey, coldkey, netuid, value={"bits": pool.share}, empty=not pool.share)
    known = pallet.get("StakingHotkeys", coldkey)
    if amount > 0 and hotkey not in known:
        pallet.put("StakingHotkeys", coldkey, value=[*known, hotkey])
    return added


# What it weighs


def weight_of(view: View, netuid: int, hotkey: bytes) -> int:
    """Returns the stake weight in rao: alpha, with childkeys and parents counted, and root stake at its weight."""
    tao_weight = Fraction(view.get("TaoWeight"), _U64_MAX)
    alpha = inherited(view, netuid, hotkey, netuid)
    tao = inherited(view, netuid, hotkey, ROOT)
    return int(alpha + tao * tao_weight)


def inherited(view: View, netuid: int, hotkey: bytes, staked_on: int) -> int:
    """Returns the stake on `staked_on` after the childkeys of `netuid`."""
    own = Fraction(view.get("TotalHotkeyAlpha", hotkey, staked_on))
    if netuid == ROOT:
        return int(own)
    lent = sum(
        (own * Fraction(part, _U64_MAX) for part, _ in view.get("ChildKeys", hotkey, netuid)), Fraction()
    )
    borrowed = sum(
        (
            view.get("TotalHotkeyAlpha", parent, staked_on) * Fraction(part, _U64_MAX)
            for part, parent in view.get("ParentKeys", hotkey, netuid)
        ),
        Fraction(),
    )
    return int(max(own - lent, Fraction()) + borrowed)


def may_set_weights(view: View, netuid: int, hotkey: bytes) -> bool:
    threshold = view.get("StakeThreshold")
    return not threshold or weight_of(view, netuid, hotkey) >= threshold


def total_of_hotkey(view: View, hotkey: bytes) -> int:
    """Returns all that a hotkey has, in rao at the present prices."""
    stakes = ((key[1], value) for key, value in view.entries("TotalHotkeyAlpha", hotkey))
    return sum(value * alpha_price(view, netuid) // fixed.ONE for netuid, value in stakes)


# The pool of a subnet


def is_dynamic(view: View, netuid: int) -> bool:
    """Returns whether alpha has a price in the subnet; elsewhere one alpha is one TAO."""
    return bool(view.get("SubnetMechanism", netuid) == DYNAMIC)


def pool_of(view: View, netuid: int) -> Pool:
    curve = view.other("Swap")
    plain = Pool(
        tao=view.get("SubnetTAO", netuid) + _provided(view, "SubnetTaoProvided", netuid),
        alpha=view.get("SubnetAlphaIn", netuid) + _provided(view, "SubnetAlphaInProvided", netuid),
        fee_rate=curve.get("FeeRate", netuid),
    )
    if not curve.has_item("AlphaSqrtPrice") or not curve.get("SwapV3Initialized", netuid):
        return plain
    return Pool(
        tao=plain.tao,
        alpha=plain.alpha,
        fee_rate=plain.fee_rate,
        sqrt_price=curve.get("AlphaSqrtPrice", netuid)["bits"],
        liquidity=curve.get("CurrentLiquidity", netuid),
    )


def alpha_price(view: View, netuid: int) -> int:
    """Returns the price of one alpha in TAO, as U64F64 bits."""
    return price(pool_of(view, netuid)) if is_dynamic(view, netuid) else fixed.ONE


def simulate(
    view: View, netuid: int, side: Side, amount: int, limit: int | None = None, *, free: bool = False
) -> Swap:
    """What a swap would do; `free`: without a fee.

    Raises:
        DispatchError: of the pallet Swap: the pool is too shallow, or stands beyond the limit already.
    """
    pool = pool_of(view, netuid)
    if free:
        pool = replace(pool, fee_rate=0)
    if not is_dynamic(view, netuid):
        return Swap(paid_in=amount, paid_out=amount, fee=0, pool=pool)
    curve = view.other("Swap")
    shallow = min(pool.tao, pool.alpha) if curve.has_item("AlphaSqrtPrice") else _reserve_out(pool, side)
    if shallow < LEAST_RESERVE:
        raise curve.error("ReservesTooLow")
    now = price(pool) * RAO // fixed.ONE
    if limit is not None and (now >= limit if side is Side.BUY else now <= limit):
        raise curve.error("PriceLimitExceeded")
    swap = (swap_on_curve if curve.has_item("AlphaSqrtPrice") else swap_on_reserves)(
        pool, side, amount, limit=limit
    )
    if swap.paid_out > _reserve_out(pool, side):
        raise curve.error("InsufficientLiquidity")
    return swap


def buy(pallet: Pallet, netuid: int, tao: int, limit: int | None = None) -> Swap:
    """Swaps TAO for alpha in the pool; the caller gives the alpha to somebody."""
    swap = simulate(pallet, netuid, Side.BUY, tao, limit)
    _move(pallet, "SubnetTAO", netuid, swap.paid_in)
    _move(pallet, "SubnetAlphaIn", netuid, -swap.paid_out if is_dynamic(pallet, netuid) else 0)
    _move(pallet, "SubnetAlphaOut", netuid, swap.paid_out)
    return _settle(pallet, netuid, swap, tao, tao)


def sell(pallet: Pallet, netuid: int, alpha: int, limit: int | None = None, *, free: bool = False) -> Swap:
    """Swaps alpha for TAO in the pool."""
    swap = simulate(pallet, netuid, Side.SELL, alpha, limit, free=free)
    _move(pallet, "SubnetTAO", netuid, -swap.paid_out)
    _move(pallet, "SubnetAlphaIn", netuid, swap.paid_in if is_dynamic(pallet, netuid) else 0)
    _move(pallet, "SubnetAlphaOut", netuid, -swap.paid_in)
    return _settle(pallet, netuid, swap, -swap.paid_out, swap.paid_out)


def most_until(view: View, netuid: int, side: Side, limit: int) -> int:
    """Returns how much may be swapped, the fee included, until the price reaches `limit` (rao)."""
    if not is_dynamic(view, netuid):
        return _U64_MAX if (limit >= RAO if side is Side.BUY else limit <= RAO) else 0
    pool = pool_of(view, netuid)
    most = _U64_MAX if view.other("Swap").has_item("AlphaSqrtPrice") else pool.tao * _MAX_INPUT
    swap = simulate(view, netuid, side, most, min(limit, MAX_PRICE))
    return swap.paid_in + swap.fee


def _reserve_out(pool: Pool, side: Side) -> int:
    return pool.alpha if side is Side.BUY else pool.tao


def _provided(view: View, item: str, netuid: int) -> int:
    return int(view.get(item, netuid)) if view.has_item(item) else 0


def _move(pallet: Pallet, item: str, netuid: int, amount: int) -> None:
    if amount:
        pallet.put(item, netuid, value=max(0, pallet.get(item, netuid) + amount))


def _settle(pallet: Pallet, netuid: int, swap: Swap, staked: int, volume: int) -> Swap:
    if not is_dynamic(pallet, netuid):
        if not pallet.stateful_epochs:
            return swap
    else:
        _keep_curve(pallet, netuid, swap)
    pallet.put("TotalStake", value=max(0, pallet.get("TotalStake") + staked))
    pallet.put("SubnetVolume", netuid, value=pallet.get("SubnetVolume", netuid) + volume)
    return swap


def _keep_curve(pallet: Pallet, netuid: int, swap: Swap) -> None:
    curve = pallet.writing("Swap")
    if curve.has_item("AlphaSqrtPrice"):
        curve.put("AlphaSqrtPrice", netuid, value={"bits": begin(swap.pool).sqrt_price})
        curve.put("CurrentLiquidity", netuid, value=swap.pool.liquidity)
        curve.put("SwapV3Initialized", netuid, value=True)
    else:
        curve.put("PalSwapInitialized", netuid, value=True)
