"""The best branch by number: genesis, and the blocks that are still kept."""

from collections.abc import Iterator

from strongroom_sandbox.bittensor.chain.blocks import Block

KEPT_BLOCKS = 4096
"""So many blocks are kept, more than the greatest age of an era's first block, and genesis."""


class Branch:
    """The kept blocks, the head last. The oldest are dropped first."""

    def __init__(self, genesis: Block, blocks: list[Block]) -> None:
        self.genesis = genesis
        self._blocks = blocks
        """The blocks without a gap, the head last."""

    @property
    def head(self) -> Block:
        return self._blocks[-1]

    def at(self, number: int) -> Block | None:
        """Returns the block of this number; None if it is not kept any more or not there yet."""
        if number == 0:
            return self.genesis
        place = number - self._blocks[0].number
        return self._blocks[place] if 0 <= place < len(self._blocks) else None

    def known(self, number: int) -> Block:
        """Returns the block of this number. Raises: LookupError: it is not kept."""
        block = self.at(number)
        if block is None:
            raise LookupError(f"block {number} is not remembered")
        return block

    def extend(self, block: Block) -> list[Block]:
        """Adds a block; returns the blocks that are dropped for it."""
        self._blocks.append(block)
        forgotten = self._blocks[:-KEPT_BLOCKS]
        del self._blocks[:-KEPT_BLOCKS]
        return forgotten

    def retract(self, count: int) -> list[Block]:
        """Takes the last blocks off the branch and returns them, newest first."""
        return [self._blocks.pop() for _ in range(count)]

    def __iter__(self) -> Iterator[Block]:
        """Returns the kept blocks, oldest first."""
        return iter(self._blocks)
