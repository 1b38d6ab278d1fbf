"""Computes what a registration costs."""

from typing import Final

from strongroom_sandbox.bittensor.rules import fixed

_ALPHA_BASE: Final = (1 << 64) - 1


def lock_cost(*, last: int, least: int, last_block: int, block: int, interval: int) -> int:
    """Returns the rao that a new subnet locks: it doubles after each registration and falls to nothing over two intervals."""
    factor = 2 if last_block else 1
    fallen = (last // interval if interval else 0) * (block - last_block)
    return max(least, last * factor - fallen)


def adjusted_burn(*, burn: int, registrations: int, target: int, alpha: int, least: int, most: int) -> int:
    """Returns the burn after an adjustment interval on runtime 293, which follows registrations / target, smoothed by `alpha`."""
    wanted = (
        fixed.divide(fixed.from_int(burn * (registrations + target)), fixed.from_int(2 * target))
        if target
        else 0
    )
    weight = (alpha << fixed.PLACES) // _ALPHA_BASE
    smoothed = fixed.multiply(weight, fixed.from_int(burn)) + fixed.multiply(fixed.ONE - weight, wanted)
    return min(max(fixed.to_int(smoothed), least), most)


def raised_burn(*, burn: int, factor: int, least: int, most: int) -> int:
    """Returns the burn right after a registration on runtime 424; `factor` is in U64F64 bits."""
    return min(max(fixed.to_int(fixed.multiply(fixed.from_int(burn), max(factor, fixed.ONE))), least), most)


def decayed_burn(*, burn: int, half_life: int, least: int, most: int) -> int:
    """Returns the burn one block later on runtime 424, where it halves in `half_life` blocks."""
    if half_life:
        burn = int(burn * 0.5 ** (1 / half_life))
    return min(max(burn, least), most)
