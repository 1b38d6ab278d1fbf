"""Publishes blocks to the node and judges what became of them.

The service publishes the same bytes until the node confirms them, or until it is certain that the ledger never takes them.
A block counts as replaced only when the node shows another block that the account's own key signed. Publishing again is
harmless (`deduplicate=true`), so any replica may publish any block.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog

from strongroom.atto.gateway import InvalidNodeResponse, Node, NodeRejected
from strongroom.atto.gateway.node_clock import NodeClock
from strongroom.atto.gateway.proof import require_signature
from strongroom.atto.protocol import AccountState, Network, Transaction
from strongroom.atto.transactions.blocks import BlockState, RejectionCause, transaction_of
from strongroom.atto.transactions.refusals import REPLACED, require_final
from strongroom.core.errors import Unavailable
from strongroom.core.intents.intent import Accepted, Intent, Rejected, Unknown, Verdict
from strongroom.core.intents.resolver import Resolver
from strongroom.core.runtime.fault_text import fault_text

log = structlog.get_logger(__name__)

LOOK_S = 2.0
"""While a publish waits for its answer, the node is asked for the block this often."""
CONFIRMED = Accepted(stage=BlockState.CONFIRMED)


class BlockNetwork:
    """The network of blocks, as `core.intents` asks it."""

    def __init__(
        self,
        *,
        node: Node,
        network: Network,
        node_clock: NodeClock,
        overtaken: Callable[[AccountState], Awaitable[None]],
    ) -> None:
        """`overtaken` is called with the node's state of an account where another wallet's block took the slot."""
        self._node = node
        self._network = network
        self._node_clock = node_clock
        self._overtaken = overtaken
        self._news: dict[bytes, asyncio.Event] = {}

    def moved(self, public_key: bytes) -> None:
        """Wakes the publish of the account's block: its chain moved, so the block is either confirmed or replaced."""
        if news := self._news.get(public_key):
            news.set()

    async def offer(self, intent: Intent) -> Verdict:
        """Publishes the block and waits until it is confirmed or refused, or the node ends the request.

        Raises:
            Unavailable: the outcome is still open.
        """
        transaction = transaction_of(intent)
        try:
            state = await self._publish(transaction)
            if state is not None:
                return await self._compare(transaction, state)
        except NodeRejected as rejection:
            return await self._judge(transaction, rejection)
        except Unavailable:
            if await self._is_confirmed(transaction):
                return CONFIRMED
            raise
        return CONFIRMED

    async def follow(self, intents: Sequence[Intent]) -> Mapping[bytes, Verdict]:
        """Asks the node for the accounts' states and the blocks. In doubt it answers Unknown, and the block is published again."""
        open_blocks: dict[bytes, Transaction] = {}
        verdicts: dict[bytes, Verdict] = {}
        for intent in intents:
            try:
                open_blocks[intent.id] = transaction_of(intent)
            except ValueError as error:  # one unreadable payload must not stop the others
                verdicts[intent.id] = Unknown(why=fault_text(error))
        states: dict[bytes, AccountState] = {}
        with contextlib.suppress(Unavailable):
            addresses = {one.block.address for one in open_blocks.values()}
            states = {state.public_key: state for state in await self._node.accounts(list(addresses))}
        found = await asyncio.gather(
            *(self._look(one, states.get(one.block.public_key)) for one in open_blocks.values())
        )
        return verdicts | dict(zip(open_blocks, found, strict=True))

    async def _look(self, transaction: Transaction, state: AccountState | None) -> Verdict:
        try:
            if state is not None and state.height >= transaction.block.height:
                return await self._compare(transaction, state)
            if await self._is_confirmed(transaction):
                return CONFIRMED
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one block, the others are followed
            return Unknown(why=fault_text(error))
        return Unknown(why="The node does not have the block")

    async def _publish(self, transaction: Transaction) -> AccountState | None:
        """Publishes, and asks for the block meanwhile. Returns the account's state if another block may have taken the slot.

        The node's answer alone does not suffice. For bytes that it saw within the last minute the node stays silent for 40 s,
        even when they are confirmed; for a block that lost its slot it stays silent too.
        """
        block = transaction.block
        news = self._news[block.public_key] = asyncio.Event()
        publishing = asyncio.ensure_future(self._node.publish(transaction))
        try:
            while not await _ended_or_news(publishing, news):
                news.clear()
                with contextlib.suppress(Unavailable):
                    if await self._is_confirmed(transaction):
                        return None
                    state = await self._node.account(block.address)
                    if state is not None and state.height >= block.height:
                        return state
            publishing.result()
        finally:
            publishing.cancel()
            if self._news.get(block.public_key) is news:
                del self._news[block.public_key]
        return None

    async def _judge(self, transaction: Transaction, rejection: NodeRejected) -> Verdict:
        """Decides what a refusal means. The block is rejected only when nothing can ever confirm it.

        A node also refuses a block that it confirmed long ago, a block that it cannot place because the node itself is
        behind, and a block that an earlier attempt is about to confirm. The account is asked before the block: if the
        block is confirmed between the two questions, the second answer shows it.

        Raises:
            Unavailable: the refusal may pass; the outcome stays open.
        """
        block = transaction.block
        state = await self._node.account(block.address)
        if state is not None and state.height >= block.height:
            return await self._compare(transaction, state)
        if await self._is_confirmed(transaction):
            return CONFIRMED
        cause = await require_final(rejection, block, state, self._node, self._node_clock)
        # The refusal counts only if the node judged the block on top of its predecessor.
        frontier = (state.height, state.frontier) if state else (0, block.work_target)
        if frontier != (block.height - 1, block.work_target):
            raise Unavailable("The node's chain of the account does not end at the block's predecessor")
        return Rejected(reason=rejection.message, stage=cause)

    async def _compare(self, transaction: Transaction, state: AccountState) -> Verdict:
        """Compares with the block that the node has at this height. Its signature by the account's own key is the proof."""
        block = transaction.block
        winner = await self._node.transaction_at(block.address, block.height)
        if winner.hash == block.hash:
            return CONFIRMED
        require_signature(winner, "the block that the node has in the place of ours")
        # A genuine block of another account, height or network would prove nothing.
        shown = (winner.block.network, winner.block.public_key, winner.block.height)
        if shown != (self._network, block.public_key, block.height):
            raise InvalidNodeResponse("The node has a block in the place of ours that does not belong there")
        # The account's state is updated before the rejection frees the account: the next block must build on the true state.
        await self._overtaken(state)
        return Rejected(reason=REPLACED, stage=RejectionCause.SLOT_TAKEN)

    async def _is_confirmed(self, transaction: Transaction) -> bool:
        return await self._node.transaction(transaction.hash) is not None


async def _ended_or_news(publishing: asyncio.Future[None], news: asyncio.Event) -> bool:
    """Waits for the end of the publish, for news of the account, or for `LOOK_S`; returns whether the publish has ended."""
    waiting = asyncio.ensure_future(news.wait())
    try:
        both: set[asyncio.Future[Any]] = {publishing, waiting}
        await asyncio.wait(both, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    return publishing.done()


BlockResolver = Resolver[bool]


class OpenBlocks:
    """The follower's view of open blocks."""

    def __init__(self, resolver: BlockResolver, network: BlockNetwork) -> None:
        self._resolver = resolver
        self._network = network

    def is_running(self, block_hash: bytes) -> bool:
        """Whether a task of this process is resolving the block."""
        return self._resolver.is_running(block_hash)

    def moved(self, public_key: bytes) -> None:
        """Reports that the account's chain moved on the node."""
        self._network.moved(public_key)
