"""Finds extrinsics in the blocks of the best chain. It follows forks by the hashes of parents."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from strongroom.bittensor.gateway import Block, Chain, ChainUnavailable, Heads, InvalidNodeResponse

KEPT: Final = 2_048


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPosition:
    """Where an extrinsic is."""

    block: Block
    index: int


class BlockIndex:
    """Reads blocks, and keeps those that it has read, by their hashes."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._known: dict[bytes, Block] = {}

    async def positions(self, heads: Heads, wanted: Collection[int]) -> Mapping[bytes, BlockPosition]:
        """Returns where extrinsics are on the chain of `heads`, by their hashes, for every block of `wanted` that exists.

        Raises:
            ChainUnavailable, InvalidNodeResponse: the node has no good answer.
        """
        canonical = await self._open_end(heads, min(wanted, default=heads.best.number))
        for number in sorted(wanted, reverse=True):
            if number <= heads.final.number and number not in canonical:
                canonical[number] = await self._final(number, canonical.get(number + 1))
        if len(self._known) > KEPT:
            self._known = {block.hash: block for block in canonical.values()}
        return {
            extrinsic: BlockPosition(block=block, index=index)
            for block in canonical.values()
            for index, extrinsic in enumerate(block.extrinsics)
        }

    async def _open_end(self, heads: Heads, lowest: int) -> dict[int, Block]:
        """Reads the blocks from the best one down to the final one, or to `lowest` if that is above."""
        found: dict[int, Block] = {}
        number, block_hash = heads.best
        while number >= max(heads.final.number, lowest):
            block = found[number] = await self._block(number, block_hash)
            number, block_hash = number - 1, block.parent
        last = found.get(heads.final.number)
        if last is not None and last.hash != heads.final.hash:
            raise ChainUnavailable("The node's heads are of two chains: it is just changing")
        return found

    async def _final(self, number: int, successor: Block | None) -> Block:
        if successor is not None:
            return await self._block(number, successor.parent)
        block_hash = await self._chain.block_hash(number)
        if block_hash is None:
            raise ChainUnavailable("The node does not have the blocks that are asked for")
        return await self._block(number, block_hash)

    async def _block(self, number: int, block_hash: bytes) -> Block:
        block = self._known.get(block_hash)
        if block is None:
            block = self._known[block_hash] = await self._chain.block(block_hash)
        if block.number != number:
            raise InvalidNodeResponse("The node's blocks do not follow each other")
        return block
