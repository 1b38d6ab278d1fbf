"""The chain's U64F64: unsigned numbers with 64 binary places, held as their bits in an int.

The chain rounds every product and quotient down and saturates; amounts only come out right with the same steps.
"""

from typing import Final

PLACES: Final = 64
ONE: Final = 1 << PLACES
_MAX: Final = (1 << 128) - 1
_SQRT_STEPS: Final = 128


def from_int(number: int) -> int:
    """Returns the bits of a whole number."""
    return min(number << PLACES, _MAX)


def to_int(bits: int) -> int:
    """Returns the whole part, at most a u64."""
    return min(bits >> PLACES, (1 << 64) - 1)


def multiply(left: int, right: int) -> int:
    """Returns the product, rounded down and saturating."""
    return min(left * right >> PLACES, _MAX)


def divide(left: int, right: int) -> int:
    """Returns the quotient, rounded down; a division by zero gives zero, as the chain's safe division does."""
    return min((left << PLACES) // right, _MAX) if right else 0


def square_root(value: int, *, epsilon: int) -> int:
    """Returns the square root by the chain's bisection, which ends within `epsilon` and not at the nearest value."""
    low, high = (0, value) if value > ONE else (value, ONE)
    middle = (low + high) // 2
    for _ in range(_SQRT_STEPS + 1):
        quotient = divide(value, middle)
        if abs(quotient - middle) <= epsilon:
            break
        if quotient < middle:
            high = middle
        else:
            low = middle
        middle = (low + high) // 2
    return middle
