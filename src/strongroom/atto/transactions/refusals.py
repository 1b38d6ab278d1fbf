"""Decides whether a node's refusal of a block is final or may pass."""

from strongroom.atto.gateway import Node, NodeRejected
from strongroom.atto.gateway.node_clock import NodeClock
from strongroom.atto.protocol import MAX_FUTURE_MS, AccountState, Block, OpenBlock, ReceiveBlock
from strongroom.atto.transactions.blocks import RejectionCause
from strongroom.core.errors import Unavailable

REPLACED = "The account's chain went on with another block"
CLOCK_MARGIN_MS = 10_000
"""The node's clock may have moved this far between its refusal and the moment when we asked for its time."""

# These refusals depend only on the block and its predecessor. Any other may pass, or is unknown to us. INVALID_NETWORK is
# not among them: a node of another network knows nothing about this account.
FINAL_REASONS = frozenset(
    {
        "INVALID_TRANSACTION",
        "INVALID_BALANCE",
        "INVALID_AMOUNT",
        "INVALID_RECEIVER",
        "INVALID_CHANGE",
        "INVALID_TIMESTAMP",
        "INVALID_VERSION",
        "INVALID_REPRESENTATIVE",
        "RECEIVABLE_NOT_FOUND",
    }
)


async def require_final(
    rejection: NodeRejected, block: Block, state: AccountState | None, node: Node, node_clock: NodeClock
) -> RejectionCause:
    """Returns the cause when the ledger can never take the block after its predecessor.

    `state` is the node's state of the block's account.

    Raises:
        Unavailable: the refusal may pass.
    """
    if rejection.reason not in FINAL_REASONS:
        raise Unavailable(f"The node refused the block, which may pass: {rejection.reason}")
    if rejection.reason == "INVALID_TRANSACTION":
        await _require_in_time(block, node_clock)
    elif rejection.reason == "INVALID_TIMESTAMP":
        await _require_not_later(block, state, node)
    elif rejection.reason == "RECEIVABLE_NOT_FOUND":
        return RejectionCause.RECEIVABLE_NOT_FOUND
    return RejectionCause.RULE


async def _require_in_time(block: Block, node_clock: NodeClock) -> None:
    """Raises Unavailable for a block ahead of the node's clock: the node calls it invalid now and takes it later."""
    await node_clock.refresh()
    await node_clock.require_steady()
    ahead_ms = block.timestamp - node_clock.now_ms()
    if ahead_ms > MAX_FUTURE_MS - CLOCK_MARGIN_MS:
        raise Unavailable(
            f"The block is {ahead_ms / 1000:.0f} s ahead of the node's clock; it will be offered again"
        )


async def _require_not_later(block: Block, state: AccountState | None, node: Node) -> None:
    """Returns when the timestamp is not later than the predecessor's or the send's, which makes it wrong for good.

    Raises:
        Unavailable: it is later than both, so the refusal may pass.
    """
    if state is not None and state.timestamp_ms >= block.timestamp:
        return
    if isinstance(block, OpenBlock | ReceiveBlock):
        sent = await node.transaction(block.send_hash)
        if sent is not None and sent.block.timestamp >= block.timestamp:
            return
    raise Unavailable(
        "The node refused the block's timestamp, although it is later than the blocks before it"
    )
