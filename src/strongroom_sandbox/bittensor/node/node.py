"""The node: a chain, a pool, and the listeners of new blocks. All that makes or retracts blocks passes here."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from strongroom.core.clock import Clock
from strongroom_sandbox.bittensor import apis, pallets
from strongroom_sandbox.bittensor.chain.blocks import Block
from strongroom_sandbox.bittensor.chain.chain import Chain
from strongroom_sandbox.bittensor.codec.runtime import Runtime
from strongroom_sandbox.bittensor.execution import accounts
from strongroom_sandbox.bittensor.execution.dispatch import Context, PanicError, panics
from strongroom_sandbox.bittensor.execution.execution import BlockExecution
from strongroom_sandbox.bittensor.execution.extrinsics import Extrinsic, read_extrinsic
from strongroom_sandbox.bittensor.execution.failures import PoolRefusal
from strongroom_sandbox.bittensor.execution.validity import validate
from strongroom_sandbox.bittensor.node.faults import Faults, Wording
from strongroom_sandbox.bittensor.node.pool import DROPPED, INVALID, Entry, Pool, Watcher

REGISTERED = (pallets, apis)
"""Imported for what they register."""
log = structlog.get_logger(__name__)

FINALITY_TIMEOUT = 512
"""After so many blocks a node gives up waiting for an extrinsic to be final."""

Change = Callable[[Context], Any]


@dataclass(slots=True, kw_only=True)
class Production:
    """When the node makes blocks."""

    interval_ms: int | None = 0
    """0: a block for every extrinsic at once. None: only on command."""
    stalled: bool = False
    finality_lag: int = 0
    finality_stalled: bool = False


@dataclass(slots=True)
class Listeners:
    """A listener gets (event, block), where the event is best, finalized or runtime."""

    callbacks: set[Callable[[str, Block], None]] = field(default_factory=set)

    def tell(self, event: str, block: Block) -> None:
        for callback in list(self.callbacks):
            callback(event, block)


class Node:
    """What the node's RPC asks."""

    def __init__(self, chain: Chain, clock: Clock, production: Production | None = None) -> None:
        self.chain = chain
        self.clock = clock
        self.production = production or Production()
        self.pool = Pool()
        self.faults = Faults()
        self.listeners = Listeners()

    # The pool

    def submit(self, raw: bytes, watcher: Watcher | None = None) -> Extrinsic:
        """Puts an extrinsic into the pool; where blocks are instant, also into one.

        Raises:
            ScaleError: it is no extrinsic.
            PoolRefusal: the chain refuses it.
            BannedError, KnownError, LowPriorityError: the pool does.
            PanicError: the check of its call is faulty.
        """
        extrinsic = read_extrinsic(raw, self.chain.runtime)
        self.pool.refuse_known(extrinsic, banned=self.faults.wording is Wording.STOCK)
        priority = self.validity(extrinsic)
        self.pool.add(extrinsic, priority, watcher)
        self.pool.announce(self.nonce)
        self.catch_up()
        return extrinsic

    def catch_up(self) -> None:
        """Makes a block if blocks are instant and an extrinsic is ready."""
        if (
            self.production.interval_ms == 0
            and not self.production.stalled
            and self.pool.has_ready(self.nonce)
        ):
            self.produce()

    def validity(self, extrinsic: Extrinsic) -> int:
        """Raises: PoolRefusal, PanicError."""
        with panics(), self.chain.state.trial():
            return validate(self.chain.next_block(), extrinsic, self.chain.genesis_hash)

    def nonce(self, who: bytes) -> int:
        """Returns the account's nonce after the best block."""
        return accounts.nonce(self.chain.storage, who)

    def next_index(self, who: bytes) -> int:
        """Returns the nonce to sign with, which counts what waits in the pool."""
        return self.pool.next_nonce(who, self.nonce(who))

    def drop_pool(self) -> int:
        """Removes all waiting extrinsics; returns how many there were."""
        entries = list(self.pool.waiting.values())
        for entry in entries:
            self.pool.remove(entry, DROPPED)
        return len(entries)

    # Blocks

    def produce(
        self, change: Change | None = None, *, empty: bool = False, upgrade: Runtime | None = None
    ) -> Block:
        """Makes a block of what is ready.

        Args:
            change: alters the state in the block's first phase, as root.
            empty: leaves the pool alone.
            upgrade: the runtime from the next block on.
        """
        with self.chain.state.savepoint():
            execution = self.chain.begin(self.clock.now_ms())
            if upgrade is not None:
                execution.amend(lambda ctx: ctx.deposit_event("System", "CodeUpdated"))
            if change is not None:
                execution.amend(change)
            included = [] if empty else self._apply_ready(execution)
            block = self.chain.seal(execution, upgrade)
        for entry in included:
            self.pool.include(entry, block.hash)
        self._tell(block, upgraded=upgrade is not None)
        return block

    def _apply_ready(self, execution: BlockExecution) -> list[Entry]:
        included: list[Entry] = []
        for entry in list(self.pool.by_priority()):
            try:
                with panics(), execution.ctx.savepoint():
                    execution.apply(entry.extrinsic)
            except PoolRefusal as refusal:
                if refusal.reason != "future":
                    self.pool.remove(entry, INVALID)
            except PanicError as panic:
                log.error("a call panicked", call=entry.extrinsic.call, reason=str(panic))
                self.pool.remove(entry, INVALID)
            else:
                included.append(entry)
        return included

    def fork(self, count: int, build: int, *, empty: int = 0) -> list[Block]:
        """Retracts blocks and builds others; what was in them returns to the pool.

        Args:
            count: how many to retract.
            build: how many to build in their place.
            empty: how many of the first of these leave the pool alone.

        Raises:
            ValueError: so many blocks cannot be retracted.
        """
        for block in self.chain.retract(count):
            self.pool.retract(block.hash)
        return [self.produce(empty=number < empty) for number in range(build)]

    def finalize(self, number: int) -> None:
        for block in self.chain.finalize(number):
            self.pool.finalize(block.hash)
            self.listeners.tell("finalized", block)

    def _tell(self, block: Block, *, upgraded: bool) -> None:
        self.listeners.tell("best", block)
        if upgraded:
            self.listeners.tell("runtime", block)
        if not self.production.finality_stalled:
            self.finalize(block.number - self.production.finality_lag)
        if block.number - FINALITY_TIMEOUT > self.chain.finalized:
            self.pool.time_out(self.chain.best.known(block.number - FINALITY_TIMEOUT).hash)
        self.pool.announce(self.nonce)


def status_of(node: Node) -> dict[str, Any]:
    """Returns the summary of the chain that `GET /_chain` answers."""
    chain, production = node.chain, node.production
    return {
        "best": {"number": chain.head.number, "hash": "0x" + chain.head.hash.hex()},
        "finalized": {
            "number": chain.finalized,
            "hash": "0x" + chain.best.known(chain.finalized).hash.hex(),
        },
        "genesis": "0x" + chain.genesis_hash.hex(),
        "spec_version": chain.runtime.spec_version,
        "waiting": ["0x" + extrinsic_hash.hex() for extrinsic_hash in node.pool.waiting],
        "interval_ms": production.interval_ms,
        "stalled": production.stalled,
        "finality_lag": production.finality_lag,
        "finality_stalled": production.finality_stalled,
    }
