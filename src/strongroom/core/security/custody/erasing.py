"""Overwrites memory that was freed, so that keys which were dropped are not found in it.

Python frees an object without overwriting it. Its allocator keeps small blocks in pools by their size, and gives freed ones out first.
So whoever takes enough blocks of each size at once, and fills them, has overwritten what was in the freed ones. What somebody still
uses is not touched: nobody computes with half a key.
"""

import gc
from typing import Final

BLOCK: Final = 16
"""The allocator rounds sizes up to multiples of it."""
MIN_BYTES: Final = 3 * BLOCK
MAX_BYTES: Final = 512
"""Larger blocks are not the allocator's, but the C library's."""
OF_EACH_SIZE: Final = 1 << 19
WHOLE_POOLS: Final = 1 << 24
"""Pools in which nothing is used belong to no size."""


def overwrite_freed() -> None:
    """Takes some tens of milliseconds, most of it for objects that refer to each other. May be called in any thread."""
    gc.collect()
    for size in range(MIN_BYTES, MAX_BYTES, BLOCK):
        _fill(size, OF_EACH_SIZE)
    _fill(MAX_BYTES, WHOLE_POOLS)


def _fill(size: int, total: int) -> None:
    """Takes blocks of this size, full of zeros, and frees them."""
    content = size - bytes.__basicsize__
    taken = [bytes(content) for _ in range(total // size)]
    del taken
