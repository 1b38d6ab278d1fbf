"""The alpha pool of a subnet: what a swap pays out.

Runtime 293 keeps a square-root price and a liquidity (full range, no positions of users); runtime 424 computes from the
reserves with equal weights. Both are constant-product curves; their roundings differ.
"""

from dataclasses import dataclass, replace
from enum import Enum
from math import isqrt
from typing import Final

from strongroom_sandbox.bittensor.rules import fixed

MIN_PRICE: Final = 1
MAX_PRICE: Final = 18_446_744_073_709_551_615
RAO: Final = 1_000_000_000
_FEE_BASE: Final = 65_535
_PRICE_EPSILON: Final = 18_446_744
_LIMIT_EPSILON: Final = 1_844_674_407
_SCALE: Final = 10**18


class Side(Enum):
    """The direction of a swap."""

    BUY = "TAO for alpha"
    SELL = "alpha for TAO"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Reserves in rao. `sqrt_price` (U64F64 bits) and `liquidity` are 0 until the first swap, and unused on 424."""

    tao: int
    alpha: int
    fee_rate: int
    sqrt_price: int = 0
    liquidity: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """The result of a swap. `paid_in` is without the fee; `pool` has the curve after it, and the reserves of before."""

    paid_in: int
    paid_out: int
    fee: int
    pool: Pool


def fee_of(amount: int, rate: int) -> int:
    """Returns the fee that is taken from `amount` before the swap."""
    return fixed.to_int(
        fixed.multiply(fixed.from_int(amount), fixed.divide(fixed.from_int(rate), fixed.from_int(_FEE_BASE)))
    )


def price(pool: Pool) -> int:
    """Returns the price of one alpha in TAO, as U64F64 bits."""
    if pool.sqrt_price:
        return fixed.multiply(pool.sqrt_price, pool.sqrt_price)
    return fixed.divide(fixed.from_int(pool.tao), fixed.from_int(pool.alpha))


def begin(pool: Pool) -> Pool:
    """Returns the pool with its curve, which the first swap on runtime 293 makes from the reserves."""
    if pool.sqrt_price:
        return pool
    root = fixed.square_root(price(pool), epsilon=_PRICE_EPSILON)
    return replace(pool, sqrt_price=root, liquidity=isqrt(pool.tao * pool.alpha))


def swap_on_curve(pool: Pool, side: Side, amount: int, *, limit: int | None = None) -> Swap:
    """Swaps as runtime 293 does, up to the price `limit` in rao for one alpha."""
    pool = begin(pool)
    fee = fee_of(amount, pool.fee_rate)
    delta = amount - fee
    target = _root_after(pool, side, delta)
    if limit is not None:
        bound = fixed.square_root(
            fixed.divide(fixed.from_int(limit), fixed.from_int(RAO)), epsilon=_LIMIT_EPSILON
        )
        if (side is Side.BUY and bound < target) or (side is Side.SELL and bound > target):
            target = bound
            delta = _delta_to(pool, side, bound)
            fee = _fee_above(delta, pool.fee_rate)
    return Swap(
        paid_in=delta, paid_out=_out(pool, side, delta), fee=fee, pool=replace(pool, sqrt_price=target)
    )


def swap_on_reserves(pool: Pool, side: Side, amount: int, *, limit: int | None = None) -> Swap:
    """Swaps as runtime 424 does."""
    fee = fee_of(amount, pool.fee_rate)
    delta = amount - fee
    reserve_in, reserve_out = (pool.tao, pool.alpha) if side is Side.BUY else (pool.alpha, pool.tao)
    if limit is not None:
        most = _most_within(pool, side, limit)
        if delta > most:
            delta = most
            fee = _fee_above(delta, pool.fee_rate)
    kept = reserve_in * _SCALE // (reserve_in + delta) if delta else _SCALE
    share = fixed.ONE - fixed.divide(fixed.from_int(kept), fixed.from_int(_SCALE))
    return Swap(
        paid_in=delta,
        paid_out=fixed.to_int(fixed.multiply(fixed.from_int(reserve_out), share)),
        fee=fee,
        pool=pool,
    )


def _root_after(pool: Pool, side: Side, delta: int) -> int:
    step = fixed.divide(fixed.from_int(delta), fixed.from_int(pool.liquidity))
    if side is Side.BUY:
        return step + pool.sqrt_price
    return fixed.divide(fixed.ONE, step + fixed.divide(fixed.ONE, pool.sqrt_price))


def _delta_to(pool: Pool, side: Side, root: int) -> int:
    liquidity = fixed.from_int(pool.liquidity)
    if side is Side.BUY:
        return fixed.to_int(fixed.multiply(liquidity, max(0, root - pool.sqrt_price)))
    gap = fixed.divide(fixed.ONE, root) - fixed.divide(fixed.ONE, pool.sqrt_price)
    return fixed.to_int(fixed.multiply(liquidity, max(0, gap)))


def _out(pool: Pool, side: Side, delta: int) -> int:
    if not delta:
        return 0
    liquidity, given = fixed.from_int(pool.liquidity), fixed.from_int(delta)
    if side is Side.SELL:
        share = fixed.divide(liquidity, fixed.divide(liquidity, pool.sqrt_price) + given)
        return fixed.to_int(fixed.multiply(given, fixed.multiply(share, pool.sqrt_price)))
    whole = fixed.multiply(fixed.multiply(liquidity, pool.sqrt_price) + given, pool.sqrt_price)
    return fixed.to_int(fixed.multiply(fixed.divide(liquidity, whole), given))


def _fee_above(delta: int, rate: int) -> int:
    ratio = fixed.divide(fixed.from_int(rate), fixed.from_int(_FEE_BASE - rate))
    return fixed.to_int(fixed.multiply(fixed.from_int(delta), ratio))


def _most_within(pool: Pool, side: Side, limit: int) -> int:
    """Returns how much may be paid in until the price reaches `limit` (rao). In a product curve the reserves move by its root."""
    product = pool.tao * pool.alpha
    if side is Side.BUY:
        return max(0, isqrt(product * limit // RAO) - pool.tao)
    return max(0, isqrt(product * RAO // limit) - pool.alpha) if limit else MAX_PRICE
