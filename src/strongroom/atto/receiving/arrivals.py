"""The receivables that the node's stream shows: checked, and stored for the receiver.

Every receivable of our accounts is stored, also those of locked and disabled accounts, so that it can be listed and received later.
"""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from strongroom.atto import tables
from strongroom.atto.protocol import Address, Network, Receivable
from strongroom.atto.wallets.watched_addresses import MonitoredAddresses
from strongroom.core.coordination.loops import LoopContext
from strongroom.core.errors import OutcomeUnknown, Unavailable
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.storage.database import Database, upsert

log = structlog.get_logger(__name__)

BATCH = 500
REMEMBERED = 20_000
FROM_STREAM = ("address", "amount", "sender", "timestamp_ms", "version")
"""The columns that the node's stream determines; a repeated item overwrites them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivingRules:
    """Which receivables are received automatically, and which representative a new account gets."""

    network: Network
    default_representative: Address | None
    """None: an account represents itself when it opens."""
    minimum_raw: int


class Arrivals:
    """`handle` takes the stream's items, `store` stores them in batches and sets `changed`."""

    def __init__(self, database: Database, monitored: MonitoredAddresses, rules: ReceivingRules) -> None:
        self._database = database
        self._monitored = monitored
        self._rules = rules
        self._queue: asyncio.Queue[Receivable] = asyncio.Queue(maxsize=10 * BATCH)
        self._unstored: list[Receivable] = []
        """The batch that is being stored."""
        self._done: dict[bytes, None] = {}
        """Hashes of the receivables that were received last, oldest first."""
        self.refused: dict[str, str] = {}
        """Accounts with a receivable that could not be stored, by path, with the reason."""
        self.changed = asyncio.Event()
        """Set when the receiver should look at the stored receivables again."""

    async def handle(self, receivable: Receivable) -> None:
        """Queues one item of the receivables stream for storing."""
        await self._queue.put(receivable)

    async def store(self, context: LoopContext) -> None:
        """Stores the receivables that `handle` queued, until cancelled. After a failure the next run starts with the same batch."""
        while True:
            batch = self._unstored or [await self._queue.get()]
            while len(batch) < BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            self._unstored = batch
            rows = [_stored(one) for one in batch if self._is_ours(one)]
            if rows:
                await self._store(rows)
                self.changed.set()
            self._unstored = []
            context.health.succeeded()

    async def _store(self, rows: list[dict[str, Any]]) -> None:
        """Stores the rows together, or one by one if one of them cannot be stored."""
        # The node sends a receivable again with each new stream. The later item overwrites the row, and so corrects a false one.
        store = partial(upsert, table=tables.receivable, update=FROM_STREAM)
        try:
            await self._database.write(partial(store, rows=rows))
        except (Unavailable, OutcomeUnknown):
            raise  # the database does not answer: the next run stores the batch
        except Exception as error:  # noqa: BLE001 - one bad receivable must not keep the others from being stored
            if len(rows) == 1:
                path = rows[0]["address"]
                self.refused[path] = fault_text(error)
                log.error("a receivable cannot be stored", address=path, why=self.refused[path])
                return
            for row in rows:
                await self._store([row])
        else:
            for row in rows if self.refused else ():
                self.refused.pop(row["address"], None)

    def received(self, receivable_hash: bytes) -> None:
        """Notes a received receivable: a replay of the stream that started before must not store it again."""
        self._done[receivable_hash] = None
        while len(self._done) > REMEMBERED:
            self._done.pop(next(iter(self._done)))

    def _is_ours(self, receivable: Receivable) -> bool:
        if receivable.hash in self._done:
            return False
        if receivable.network is not self._rules.network:
            log.error("a receivable of another network was ignored", network=receivable.network.name)
            return False
        address = Address(public_key=receivable.receiver_public_key)
        return receivable.amount >= self._rules.minimum_raw and address in self._monitored


def _stored(receivable: Receivable) -> dict[str, Any]:
    return {
        "hash": receivable.hash,
        "address": Address(public_key=receivable.receiver_public_key).path,
        "amount": receivable.amount,
        "sender": receivable.sender_public_key,
        "timestamp_ms": receivable.timestamp_ms,
        "version": receivable.version,
    }
