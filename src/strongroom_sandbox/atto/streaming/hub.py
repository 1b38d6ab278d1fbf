"""Tells the open streams what the ledger has confirmed."""

import asyncio

from strongroom.atto.protocol import AccountEntry, AccountState, Receivable, Transaction
from strongroom.core.clock import Clock
from strongroom_sandbox.atto.chain.chain import Confirmation
from strongroom_sandbox.atto.streaming.streams import OpenStreams, Topic


class Hub:
    """One topic a kind of stream.

    A receivable of the future is published when its time has come. Whoever subscribes is told of those, so it
    leaves them out when it reads the ledger: see `is_delayed`.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.streams = OpenStreams()
        self.accounts: Topic[AccountState] = Topic()
        self.entries: Topic[AccountEntry] = Topic()
        self.transactions: Topic[Transaction] = Topic()
        self.receivables: Topic[Receivable] = Topic()
        self._delayed: dict[bytes, asyncio.Task[None]] = {}

    def announce(self, confirmation: Confirmation) -> None:
        entry = confirmation.entry
        self.accounts.publish(confirmation.account, entry.public_key)
        self.entries.publish(entry, entry.public_key, entry.hash)
        self.transactions.publish(confirmation.transaction, entry.public_key, entry.hash)
        if confirmation.receivable:
            self.announce_receivable(confirmation.receivable)

    def announce_receivable(self, receivable: Receivable) -> None:
        if receivable.timestamp_ms > self.clock.now_ms():
            self._delayed[receivable.hash] = asyncio.create_task(self._announce_later(receivable))
        else:
            self.receivables.publish(receivable, receivable.receiver_public_key)

    def is_delayed(self, receivable: Receivable) -> bool:
        """Whether the receivable is still to be published, which may be a moment after its time."""
        return receivable.hash in self._delayed

    def forget_delayed(self) -> None:
        """For a new ledger, whose receivables of the future have to be announced again."""
        for task in self._delayed.values():
            task.cancel()
        self._delayed.clear()

    async def _announce_later(self, receivable: Receivable) -> None:
        while (wait_ms := receivable.timestamp_ms - self.clock.now_ms()) > 0:
            await self.clock.sleep(wait_ms / 1000)
        del self._delayed[receivable.hash]
        self.receivables.publish(receivable, receivable.receiver_public_key)

    async def aclose(self) -> None:
        self.streams.end_all()
        delayed = list(self._delayed.values())
        self.forget_delayed()
        await asyncio.gather(*delayed, return_exceptions=True)
