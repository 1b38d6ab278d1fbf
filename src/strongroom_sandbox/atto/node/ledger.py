"""The chain, its journal and its listeners. A block reaches all three or none."""

from strongroom.atto.protocol import Transaction
from strongroom.core.clock import Clock
from strongroom_sandbox.atto.chain.chain import Chain, Confirmation
from strongroom_sandbox.atto.chain.journal import Journal
from strongroom_sandbox.atto.streaming.hub import Hub


class Ledger:
    """Owns the journal; without a journal the ledger is lost with the process. Raises as `load`."""

    def __init__(self, chain: Chain, hub: Hub, clock: Clock, journal: Journal | None) -> None:
        self.hub = hub
        self.last_vote_ms = 0
        """When the genesis account, the only voter, last confirmed a block; 0 means never."""
        self._clock = clock
        self._journal = journal
        try:
            self.load(chain)
        except BaseException:
            self.close()
            raise

    def confirm(self, transaction: Transaction) -> Confirmation:
        """Appends a verified transaction; after this, every query and stream has it.

        Raises:
            Rejected: by a rule of the ledger, nothing has changed.
        """
        self.chain.check(transaction)
        if self._journal:
            self._journal.append(transaction)
        confirmation = self.chain.confirm(transaction)
        self.last_vote_ms = self._clock.now_ms()
        self.hub.announce(confirmation)
        return confirmation

    def load(self, chain: Chain) -> None:
        """Starts with `chain` and the journal's transactions after it.

        Raises:
            ProtocolError: the journal is unreadable.
            Rejected: its transactions do not continue the chain.
        """
        now_ms = self._clock.now_ms()
        if self._journal:
            for transaction in self._journal.read():
                chain.apply(transaction, now_ms)
        self.chain = chain
        self.hub.forget_delayed()
        for receivable in chain.pending():
            if receivable.timestamp_ms > now_ms:
                self.hub.announce_receivable(receivable)

    def reload(self) -> None:
        """Loads the ledger as a restarted process would; raises as `load`."""
        self.load(Chain() if self._journal else self.chain)

    def close(self) -> None:
        if self._journal:
            self._journal.close()
