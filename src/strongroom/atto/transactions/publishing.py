"""A block's network: the node is asked, and what it says is judged by what accounts signed.

The same bytes are published until the node confirms them or it is certain that the ledger will never take them. Publishing
again is harmless (`deduplicate=true`), so any replica may follow any block.
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
CONFIRMED = Accepted(stage=BlockState.CONFIRMED)


class BlockNetwork:
    """What the engine asks about blocks."""

    def __init__(
        self,
        *,
        node: Node,
        network: Network,
        node_clock: NodeClock,
        overtaken: Callable[[AccountState], Awaitable[None]],
    ) -> None:
        """`overtaken` is told of an account whose chain went on without ours."""
        self._node = node
        self._network = network
        self._node_clock = node_clock
        self._overtaken = overtaken
        self._news: dict[bytes, asyncio.Event] = {}

    def moved(self, public_key: bytes) -> None:
        """The account's chain went on: a block of ours that is being published may have won or lost."""
        if news := self._news.get(public_key):
            news.set()

    async def offer(self, intent: Intent) -> Verdict:
        """Publishes, and waits for the outcome as long as the node lets us."""
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
        """Where the accounts stand, and whether the node has the blocks. To publish again is harmless, so doubt is Unknown."""
        open_blocks: dict[bytes, Transaction] = {}
        verdicts: dict[bytes, Verdict] = {}
        for intent in intents:
            try:
                open_blocks[intent.id] = transaction_of(intent)
            except ValueError as error:  # the offer says so again, to this one alone
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
        """Publishes, and looks for the block meanwhile. Returns the account when it has moved on without the block.

        A node says nothing for 40 s of bytes that it saw within the last minute, confirmed or not, and nothing of a
        block whose place another one took.
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
        """A refusal ends the matter only when nothing can ever confirm the block.

        A node refuses also what it has long confirmed, what it cannot place because it is itself behind, and what an
        earlier attempt is just about to confirm. The account is asked first: a block that is confirmed between two
        questions then shows in the later answer.
        """
        block = transaction.block
        state = await self._node.account(block.address)
        if state is not None and state.height >= block.height:
            return await self._compare(transaction, state)
        if await self._is_confirmed(transaction):
            return CONFIRMED
        cause = await require_final(rejection, block, state, self._node, self._node_clock)
        place = (state.height, state.frontier) if state else (0, block.work_target)
        if place != (block.height - 1, block.work_target):
            raise Unavailable("The node does not stand where the block belongs")
        return Rejected(reason=rejection.message, stage=cause)

    async def _compare(self, transaction: Transaction, state: AccountState) -> Verdict:
        """Decides by the block that the account has at this height. The account's own key signed it: that is proof."""
        block = transaction.block
        winner = await self._node.transaction_at(block.address, block.height)
        if winner.hash == block.hash:
            return CONFIRMED
        require_signature(winner, "the block that the node has in the place of ours")
        said = (winner.block.network, winner.block.public_key, winner.block.height)
        if said != (self._network, block.public_key, block.height):
            raise InvalidNodeResponse("The node has a block in the place of ours that does not belong there")
        # Before the account is free: what is signed next builds on its true state.
        await self._overtaken(state)
        return Rejected(reason=REPLACED, stage=RejectionCause.SLOT_TAKEN)

    async def _is_confirmed(self, transaction: Transaction) -> bool:
        return await self._node.transaction(transaction.hash) is not None


async def _ended_or_news(publishing: asyncio.Future[None], news: asyncio.Event) -> bool:
    """Waits for the end of a publish, for news of the account, or for a while; says whether it was the end."""
    hearing = asyncio.ensure_future(news.wait())
    try:
        both: set[asyncio.Future[Any]] = {publishing, hearing}
        await asyncio.wait(both, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hearing.cancel()
    return publishing.done()


BlockResolver = Resolver[bool]


class OpenBlocks:
    """What is known of open blocks while the node tells of accounts."""

    def __init__(self, resolver: BlockResolver, network: BlockNetwork) -> None:
        self._resolver = resolver
        self._network = network

    def is_running(self, block_hash: bytes) -> bool:
        """Whether this process finds out the outcome of the block."""
        return self._resolver.is_running(block_hash)

    def moved(self, public_key: bytes) -> None:
        """The account's chain went on."""
        self._network.moved(public_key)
