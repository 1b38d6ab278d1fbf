"""The best branch by number: genesis, and the blocks that are remembered."""

from collections.abc import Iterator

from strongroom_sandbox.bittensor.chain.blocks import Block

KEPT_BLOCKS = 4096
"""More than the age of a birth block may be; older ones are forgotten, but for genesis."""


class Branch:
    """Ends in the head. Forgets from its other end."""

    def __init__(self, genesis: Block, blocks: list[Block]) -> None:
        self.genesis = genesis
        self._blocks = blocks
        """Without a gap, the head last."""

    @property
    def head(self) -> Block:
        return self._blocks[-1]

    def at(self, number: int) -> Block | None:
        """The block of this number; None when it is forgotten or not there yet."""
        if number == 0:
            return self.genesis
        place = number - self._blocks[0].number
        return self._blocks[place] if 0 <= place < len(self._blocks) else None

    def known(self, number: int) -> Block:
        """Raises: LookupError: it is not remembered."""
        block = self.at(number)
        if block is None:
            raise LookupError(f"block {number} is not remembered")
        return block

    def extend(self, block: Block) -> list[Block]:
        """Returns the blocks that are forgotten for it."""
        self._blocks.append(block)
        forgotten = self._blocks[:-KEPT_BLOCKS]
        del self._blocks[:-KEPT_BLOCKS]
        return forgotten

    def retract(self, count: int) -> list[Block]:
        """The last blocks, newest first; they are no part of it any more."""
        return [self._blocks.pop() for _ in range(count)]

    def __iter__(self) -> Iterator[Block]:
        """The remembered blocks, oldest first."""
        return iter(self._blocks)
