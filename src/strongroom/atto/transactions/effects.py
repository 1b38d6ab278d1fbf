"""Applies the outcome of a block to the account's state, its history and its receivables.

While a block is open, its account signs nothing else: the column `strongroom_atto_account.pending` holds the block's hash.
The unique slot of the intent is the last defence: the database refuses a second block on one predecessor.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, delete, update

from strongroom.atto import tables
from strongroom.atto.protocol import (
    AccountEntry,
    Block,
    Network,
    OpenBlock,
    ReceiveBlock,
    entry_of,
    state_after,
)
from strongroom.atto.records import load_account, state_values
from strongroom.atto.transactions.blocks import RejectionCause, sender_of, transaction_of
from strongroom.core.errors import Unavailable
from strongroom.core.intents.intent import Accepted, Intent, Pending, Rejected
from strongroom.core.runtime.telemetry import Metrics

StoreAndAnnounce = Callable[[Connection, str, Sequence[AccountEntry]], None]
"""Stores entries of one wallet and the events that announce them, in the caller's transaction."""
Confirmed = Callable[[Block, bool], None]
"""Called with a confirmed block, and whether the account's stored entries reach up to it."""


class BlockEffects:
    """The resolver's hooks for blocks; the effect is whether the account's stored entries reach up to the block."""

    def __init__(
        self,
        *,
        network: Network,
        store_and_announce: StoreAndAnnounce,
        confirmed: Confirmed,
        metrics: Metrics,
    ) -> None:
        """`confirmed` is called after the commit."""
        self._network = network
        self._store_and_announce = store_and_announce
        self._confirmed = confirmed
        self._seconds = metrics.histogram(
            "strongroom_atto_confirmation_seconds", "From the signature to the block's outcome."
        )

    def apply(self, connection: Connection, intent: Intent, verdict: Accepted | Rejected | Pending) -> bool:
        """Changes the account in the transaction that stores the outcome.

        Raises:
            Unavailable: another block took the slot, and the stored account has not caught up with it yet.
        """
        block = transaction_of(intent).block
        if isinstance(verdict, Accepted):
            return self._confirm(connection, block, sender_of(intent))
        if isinstance(verdict, Rejected):
            self._reject(connection, block, verdict.stage)
        return False

    def applied(
        self,
        intent: Intent,
        verdict: Accepted | Rejected | Pending,
        effect: bool,
    ) -> None:
        """Runs after the commit: measures the duration and reports a confirmed block."""
        if intent.resolved_at_ms is not None:
            self._seconds.observe((intent.resolved_at_ms - intent.created_at_ms) / 1000)
        if isinstance(verdict, Accepted):
            self._confirmed(transaction_of(intent).block, effect)

    def _confirm(self, connection: Connection, block: Block, sender: bytes | None) -> bool:
        account = load_account(connection, block.address, self._network, lock=True)
        _delete_received(connection, block)
        changes: dict[str, Any] = {} if account.open_block != block.hash else {"pending": None}
        # The follower may have stored the block already, from the node's stream. Then the state stays as it is.
        if account.height == block.height - 1:
            changes |= state_values(state_after(block, account.state))
            # Clients read entries without gaps. With a gap below, the follower fetches this entry in its turn.
            if account.entry_height == account.height:
                entry = entry_of(block, account.state, sender)
                self._store_and_announce(connection, account.wallet_name, [entry])
                changes["entry_height"] = block.height
        if changes:
            connection.execute(
                update(tables.chain).where(tables.chain.c.address == account.address.path).values(changes)
            )
        stored_height: int = changes.get("entry_height", account.entry_height)
        return stored_height >= block.height

    def _reject(self, connection: Connection, block: Block, cause: str) -> None:
        account = load_account(connection, block.address, self._network, lock=True)
        if cause == RejectionCause.SLOT_TAKEN and account.height < block.height:
            # The account stays marked: from the old state the next block would be built for the same slot again.
            raise Unavailable("The account has not caught up with the block that took the place of ours")
        connection.execute(
            update(tables.chain)
            .where(tables.chain.c.address == block.address.path, tables.chain.c.pending == block.hash)
            .values(pending=None)
        )


def _delete_received(connection: Connection, block: Block) -> None:
    """Deletes the receivable together with the outcome, so that after a crash the receiver does not try it again."""
    if isinstance(block, OpenBlock | ReceiveBlock):
        connection.execute(delete(tables.receivable).where(tables.receivable.c.hash == block.send_hash))
