"""When the epochs of a subnet are, on the modular schedule of runtime 293.

Runtime 424 counts its epochs in storage instead; see the pallet.
"""

from typing import Final

NEVER: Final = (1 << 64) - 1


def blocks_until(netuid: int, tempo: int, block: int) -> int:
    """Returns how many blocks there are until the subnet's next epoch; 0 in the block that runs one."""
    if not tempo:
        return NEVER
    return tempo - (block + netuid + 1) % (tempo + 1)


def index_at(netuid: int, tempo: int, block: int) -> int:
    """Returns the number of the epoch that `block` belongs to."""
    return (block + netuid + 1) // (tempo + 1)


def reveal_window(netuid: int, tempo: int, block: int, period: int) -> tuple[int, int]:
    """Returns the first and the last block in which a commit of `block` may be revealed."""
    first = max(0, (index_at(netuid, tempo, block) + period) * (tempo + 1) - (netuid + 1))
    return first, first + tempo
