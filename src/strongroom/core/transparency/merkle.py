"""Merkle trees as RFC 9162 has them, section 2.1: leaves and nodes are hashed apart, so that neither passes for the other.

A tree grows by a `Frontier`, which keeps the roots of its whole subtrees alone: of a million leaves at most 20.
What checks proofs is in `checker`, which anybody may run alone.
"""

from collections.abc import Iterable, Sequence

from strongroom.core.transparency.checker import EMPTY_ROOT, node_hash


class Frontier:
    """A tree that grows at its end. `size`: how many leaves it has."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        """`peaks`: the roots of its whole subtrees, the largest first, as `peaks` has them.

        Raises:
            ValueError: there are more or fewer than a tree of this size has.
        """
        if len(peaks) != size.bit_count():
            raise ValueError(
                f"a tree of {size} leaves has {size.bit_count()} whole subtrees, not {len(peaks)}"
            )
        self.size = size
        self._peaks = list(peaks)

    @property
    def peaks(self) -> Sequence[bytes]:
        return tuple(self._peaks)

    def append(self, leaf: bytes) -> None:
        """Adds a leaf, which is a `leaf_hash`."""
        self._peaks.append(leaf)
        self.size += 1
        for _ in range((self.size & -self.size).bit_length() - 1):
            right = self._peaks.pop()
            self._peaks[-1] = node_hash(self._peaks[-1], right)

    def root(self) -> bytes:
        if not self._peaks:
            return EMPTY_ROOT
        found = self._peaks[-1]
        for left in reversed(self._peaks[:-1]):
            found = node_hash(left, found)
        return found


def tree_root(leaves: Iterable[bytes]) -> bytes:
    """MTH of section 2.1.1, of leaves that are hashed already."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """PATH of section 2.1.3.1: the siblings on the way from the leaf up to the root."""
    if len(leaves) == 1:
        return []
    half = _half(len(leaves))
    if index < half:
        return [*inclusion_path(leaves[:half], index), tree_root(leaves[half:])]
    return [*inclusion_path(leaves[half:], index - half), tree_root(leaves[:half])]


def consistency_path(leaves: Sequence[bytes], earlier: int) -> list[bytes]:
    """PROOF of section 2.1.4.1: that the tree of these leaves begins with the tree of the first `earlier` of them."""
    return _subproof(leaves, earlier, is_whole=True) if earlier else []


def _subproof(leaves: Sequence[bytes], earlier: int, *, is_whole: bool) -> list[bytes]:
    if earlier == len(leaves):
        return [] if is_whole else [tree_root(leaves)]
    half = _half(len(leaves))
    if earlier <= half:
        return [*_subproof(leaves[:half], earlier, is_whole=is_whole), tree_root(leaves[half:])]
    return [*_subproof(leaves[half:], earlier - half, is_whole=False), tree_root(leaves[:half])]


def _half(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1
