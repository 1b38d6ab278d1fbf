"""A hotkey's stake on a subnet is a pool of shares: one value, and a share for each coldkey (U64F64 bits)."""

from dataclasses import dataclass, replace
from typing import Final

from strongroom_sandbox.bittensor.rules import fixed

_PLACES: Final = fixed.PLACES
_KEPT_PER: Final = 100_000
_YEAR_OF_EMISSION: Final = 2_628_000_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SharePool:
    """`value` in alpha rao; `total` and `share` are bits."""

    value: int
    total: int
    share: int

    @property
    def owned(self) -> int:
        """Returns what the share is worth now, in alpha rao."""
        if not self.total:
            return 0
        per_share = fixed.divide(fixed.from_int(self.value), self.total)
        return fixed.to_int(fixed.multiply(per_share, self.share))


def change(pool: SharePool, amount: int) -> tuple[SharePool, int]:
    """Adds `amount`, which may be negative, to the share's worth; returns the new pool and what was really added."""
    if not pool.total:
        bits = fixed.from_int(max(amount, 0))
        return SharePool(value=pool.value + amount, total=bits, share=bits), amount
    steps = _shares_for(pool, amount)
    share, total = pool.share + steps, pool.total + steps
    if steps < 0 and (share < 0 or share * _KEPT_PER < pool.share or _too_small(pool, total)):
        # The rest is too little to be counted; the chain takes everything then.
        amount = -pool.owned
        share, total = 0, pool.total - pool.share
    return replace(pool, value=max(0, pool.value + amount), share=share, total=max(0, total)), amount


def can_add(pool: SharePool, amount: int) -> bool:
    """Returns whether such a small amount changes the share at all."""
    return not pool.total or _shares_for(pool, amount) != 0


def _shares_for(pool: SharePool, amount: int) -> int:
    per_share = fixed.divide(fixed.from_int(pool.value), pool.total)
    if not per_share:
        return 0
    steps = (abs(amount) << 2 * _PLACES) // per_share
    return steps if amount >= 0 else -steps


def _too_small(pool: SharePool, total: int) -> bool:
    return total <= 0 or (pool.value + _YEAR_OF_EMISSION) << 2 * _PLACES >= total << 128
