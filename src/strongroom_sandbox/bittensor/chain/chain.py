"""The chain: its blocks, the best branch among them, and the state after the last block."""

from collections.abc import Sequence

from strongroom_sandbox.bittensor.chain.blocks import Block, Header, slot_log
from strongroom_sandbox.bittensor.chain.branch import Branch
from strongroom_sandbox.bittensor.chain.journal import Journal, Retract, changed, sealed
from strongroom_sandbox.bittensor.codec.runtime import Runtime
from strongroom_sandbox.bittensor.execution.dispatch import Context
from strongroom_sandbox.bittensor.execution.execution import BlockExecution
from strongroom_sandbox.bittensor.execution.extrinsics import extrinsics_root
from strongroom_sandbox.bittensor.state.migration import migrate
from strongroom_sandbox.bittensor.state.state import State
from strongroom_sandbox.bittensor.state.storage import Storage

KEPT_STATES = 256
"""The chain discards states that are older than so many blocks, as a node does that is not an archive."""


class Chain:
    """Blocks from genesis on. Everything that changes it goes through `begin` and `seal`, or `retract`."""

    def __init__(
        self,
        genesis: Block,
        blocks: Sequence[Block] = (),
        *,
        finalized: int = 0,
        made: int = 0,
        journal: Journal | None = None,
    ) -> None:
        """`blocks` are the last ones of a chain that goes on; the last of them must have its state."""
        self.genesis_hash = genesis.hash
        self.best = Branch(genesis, list(blocks) or [genesis])
        self.blocks: dict[bytes, Block] = {block.hash: block for block in (genesis, *blocks)}
        self.finalized = finalized
        """The number of the last final block."""
        self._made = made
        self._journal = journal
        self.runtime = self.head.runtime
        self.state = State(self.head.values)

    @property
    def head(self) -> Block:
        return self.best.head

    @property
    def storage(self) -> Storage:
        """The state after the best block, by name."""
        return Storage(self.runtime, self.state)

    def block(self, block_hash: bytes) -> Block | None:
        """Returns a block that was made, also one that was retracted."""
        return self.blocks.get(block_hash)

    def is_best(self, block: Block) -> bool:
        return self.best.at(block.number) is block

    def storage_at(self, block: Block) -> Storage | None:
        """Returns the state after a block; None if it was discarded."""
        if block is self.head:
            return Storage(block.runtime, self.state)
        return None if block.values is None else Storage(block.runtime, State(block.values))

    def begin(self, now_ms: int) -> BlockExecution:
        """Opens the next block, which changes the state itself."""
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
        if self._journal is not None:
            changes = changed(self.head.values or {}, block.values or {})
            self._journal.write(sealed(block, changes, self.finalized))
        self._extend(block)
        return block

    def _extend(self, block: Block) -> None:
        self.blocks[block.hash] = block
        for forgotten in self.best.extend(block):
            del self.blocks[forgotten.hash]
        old = self.best.at(block.number - KEPT_STATES) if block.number >= KEPT_STATES else None
        if old is not None:
            old.values = None

    def next_block(self) -> Context:
        """Returns the state with the number of the next block, for validation inside `state.trial`."""
        ctx = Context(self.runtime, self.state)
        number, head = self.head.number, self.head.hash
        ctx.put("System", "Number", value=number + 1)
        ctx.put("System", "BlockHash", number, value=head)
        return ctx

    def retract(self, count: int) -> list[Block]:
        """Removes the best blocks from the best branch; returns them, newest first.

        Raises:
            ValueError: that many blocks are not there, or are final.
        """
        if not 0 < count <= self.head.number - self.finalized:
            raise ValueError(f"{self.head.number - self.finalized} blocks may be retracted, not {count}")
        head = self.best.at(self.head.number - count)
        if head is None or head.values is None:
            raise ValueError("the state to go back to was discarded")
        if self._journal is not None:
            self._journal.write(Retract(count))
        retracted = self.best.retract(count)
        self.state, self.runtime = State(head.values), head.runtime
        return retracted

    def finalize(self, number: int) -> list[Block]:
        """Makes the best branch final up to a number; returns the newly final blocks in order."""
        first = self.finalized + 1
        self.finalized = max(self.finalized, min(number, self.head.number))
        return [self.best.known(number) for number in range(first, self.finalized + 1)]
