"""The chain: its blocks, which of them are on the best branch, and the state after the last one."""

from strongroom.sandbox.bittensor.blocks import Block, Header, slot_log
from strongroom.sandbox.bittensor.dispatch import Context
from strongroom.sandbox.bittensor.execution import BlockExecution
from strongroom.sandbox.bittensor.extrinsics import extrinsics_root
from strongroom.sandbox.bittensor.migration import migrate
from strongroom.sandbox.bittensor.runtime import Runtime
from strongroom.sandbox.bittensor.state import State
from strongroom.sandbox.bittensor.storage import Storage

KEPT_STATES = 256
"""Older states than this many blocks are discarded, as by a node that is not an archive."""


class Chain:
    """Blocks from genesis on. Everything that changes it goes through `begin` and `seal`, or `retract`."""

    def __init__(self, runtime: Runtime, genesis_hash: bytes, state: State) -> None:
        self.genesis_hash = genesis_hash
        self.runtime = runtime
        self.state = state
        root = Header(number=0, parent=bytes(32), state_root=bytes(32), extrinsics_root=bytes(32), logs=())
        genesis = Block(
            header=root, hash=genesis_hash, extrinsics=[], runtime=runtime, values=state.snapshot()
        )
        self.blocks: dict[bytes, Block] = {genesis_hash: genesis}
        self.best: list[Block] = [genesis]
        """The best branch, by number."""
        self.finalized = 0
        """Number of the last final block."""
        self._made = 0

    @property
    def head(self) -> Block:
        return self.best[-1]

    @property
    def storage(self) -> Storage:
        """The state after the best block, by name."""
        return Storage(self.runtime, self.state)

    def block(self, block_hash: bytes) -> Block | None:
        """A block that was ever made, also one that was retracted."""
        return self.blocks.get(block_hash)

    def is_best(self, block: Block) -> bool:
        return block.number < len(self.best) and self.best[block.number] is block

    def storage_at(self, block: Block) -> Storage | None:
        """The state after a block; None when it was discarded."""
        if block is self.head:
            return Storage(block.runtime, self.state)
        return None if block.values is None else Storage(block.runtime, State(block.values))

    def begin(self, now_ms: int) -> BlockExecution:
        """Opens the next block on the state itself."""
        execution = BlockExecution(self.runtime, self.state, self.genesis_hash)
        execution.open(self.head.number + 1, self.head.hash, now_ms)
        return execution

    def seal(self, execution: BlockExecution, upgrade: Runtime | None = None) -> Block:
        """Closes the block. With an upgrade the new runtime reads the state from here on, and makes the next block."""
        execution.close()
        if upgrade is not None:
            migrate(self.state, self.runtime, upgrade)
            self.runtime = upgrade
        self._made += 1
        header = Header(
            number=self.head.number + 1,
            parent=self.head.hash,
            state_root=bytes(32),
            extrinsics_root=extrinsics_root(execution.extrinsics),
            logs=(slot_log(self._made),),
        )
        block = Block(
            header=header,
            hash=header.hash,
            extrinsics=execution.extrinsics,
            runtime=self.runtime,
            values=self.state.snapshot(),
        )
        self.blocks[block.hash] = block
        self.best.append(block)
        if block.number > KEPT_STATES:
            self.best[block.number - KEPT_STATES].values = None
        return block

    def next_block(self) -> Context:
        """The state with the number of the block to come, to validate against inside `state.trial`."""
        ctx = Context(self.runtime, self.state)
        number, head = self.head.number, self.head.hash
        ctx.put("System", "Number", value=number + 1)
        ctx.put("System", "BlockHash", number, value=head)
        return ctx

    def retract(self, count: int) -> list[Block]:
        """Takes the best blocks back; returns them, newest first.

        Raises:
            ValueError: that many blocks are not there, or are final.
        """
        if not 0 < count <= self.head.number - self.finalized:
            raise ValueError(f"{self.head.number - self.finalized} blocks may be retracted, not {count}")
        retracted = [self.best.pop() for _ in range(count)]
        head = self.head
        if head.values is None:
            raise ValueError("the state to go back to was discarded")
        self.state, self.runtime = State(head.values), head.runtime
        return retracted

    def finalize(self, number: int) -> list[Block]:
        """Makes the best branch final up to a number; returns the newly final blocks in order."""
        first = self.finalized + 1
        self.finalized = max(self.finalized, min(number, self.head.number))
        return self.best[first : self.finalized + 1]
