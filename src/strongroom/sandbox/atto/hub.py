"""Tells the open streams what the ledger has confirmed."""

import asyncio

from strongroom.atto.protocol import AccountEntry, AccountState, Receivable, Transaction
from strongroom.core.clock import Clock
from strongroom.sandbox.atto.chain import Confirmation
from strongroom.sandbox.atto.streams import OpenStreams, Topic


class Hub:
    """One topic a kind of stream.

    A receivable of the future is published when its time has come. So whoever subscribes reads the ledger for the
    receivables of the past and is told of the others.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.streams = OpenStreams()
        self.accounts: Topic[AccountState] = Topic()
        self.entries: Topic[AccountEntry] = Topic()
        self.transactions: Topic[Transaction] = Topic()
        self.receivables: Topic[Receivable] = Topic()
        self._delayed: set[asyncio.Task[None]] = set()

    def announce(self, confirmation: Confirmation) -> None:
        entry = confirmation.entry
        self.accounts.publish(confirmation.account, entry.public_key)
        self.entries.publish(entry, entry.public_key, entry.hash)
        self.transactions.publish(confirmation.transaction, entry.public_key, entry.hash)
        if confirmation.receivable:
            self.announce_receivable(confirmation.receivable)

    def announce_receivable(self, receivable: Receivable) -> None:
        wait_ms = receivable.timestamp_ms - self.clock.now_ms()
        if wait_ms <= 0:
            self.receivables.publish(receivable, receivable.receiver_public_key)
            return
        task = asyncio.create_task(self._announce_later(receivable, wait_ms / 1000))
        self._delayed.add(task)
        task.add_done_callback(self._delayed.discard)

    async def _announce_later(self, receivable: Receivable, wait_s: float) -> None:
        await self.clock.sleep(wait_s)
        self.receivables.publish(receivable, receivable.receiver_public_key)

    def forget_delayed(self) -> None:
        """For a new ledger, whose receivables of the future have to be announced again."""
        for task in self._delayed:
            task.cancel()

    async def aclose(self) -> None:
        self.streams.end_all()
        self.forget_delayed()
        await asyncio.gather(*self._delayed, return_exceptions=True)
