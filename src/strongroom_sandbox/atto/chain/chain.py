"""The ledger of the sandbox: accounts, blocks and receivables in memory.

It never waits, reads no clock and speaks no wire format: every call is one step, and what it answers is the state
before or after a block, never between.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import nlargest
from typing import Final

from strongroom.atto.protocol import (
    AccountEntry,
    AccountState,
    Address,
    Network,
    OpenBlock,
    ProtocolError,
    Receivable,
    ReceiveBlock,
    SendBlock,
    Transaction,
    entry_of,
    send_block,
    state_after,
    validate_transaction,
)
from strongroom.core.chunks import chunks
from strongroom_sandbox.atto.chain import rules
from strongroom_sandbox.atto.chain.genesis import GENESIS_PUBLIC_KEY, genesis_transaction, sign_genesis
from strongroom_sandbox.atto.chain.rejection import Reason, Rejected
from strongroom_sandbox.atto.chain.solver import Solver, find_work

_KEYS_PER_QUERY = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The changes that one confirmed block made."""

    transaction: Transaction
    account: AccountState
    entry: AccountEntry
    receivable: Receivable | None
    """The receivable of a SEND; None for other blocks."""


@dataclass(slots=True, kw_only=True)
class _History:
    """The blocks of one account; the block at height n has index n - 1."""

    state: AccountState
    transactions: list[Transaction] = field(default_factory=list)
    entries: list[AccountEntry] = field(default_factory=list)


class Chain:
    """A LOCAL ledger that starts with the genesis block."""

    network: Final = Network.LOCAL

    def __init__(self) -> None:
        self._histories: dict[bytes, _History] = {}
        self._transactions: dict[bytes, Transaction] = {}
        self._entries: dict[bytes, AccountEntry] = {}
        self._receivables: dict[bytes, Receivable] = {}
        self._receivables_of: defaultdict[bytes, dict[bytes, Receivable]] = defaultdict(dict)
        self._weights: defaultdict[bytes, int] = defaultdict(int)
        self._store(genesis_transaction(), sender=GENESIS_PUBLIC_KEY)

    def apply(self, transaction: Transaction, now_ms: int) -> Confirmation:
        """Verifies the transaction in every respect and confirms it.

        Raises:
            Rejected: it is refused, nothing has changed.
        """
        self.verify(transaction, now_ms)
        return self.confirm(transaction)

    def verify(self, transaction: Transaction, now_ms: int) -> None:
        """Checks the transaction by itself: form, time, work, signature, network.

        Raises:
            Rejected: `INVALID_TRANSACTION` or `INVALID_NETWORK`.
        """
        network = transaction.block.network
        try:
            validate_transaction(transaction, network=network, now_ms=now_ms)
        except ProtocolError as error:
            raise Rejected(Reason.INVALID_TRANSACTION, str(error)) from None
        if network is not self.network:
            raise Rejected(Reason.INVALID_NETWORK, f"This is {self.network.name}")

    def check(self, transaction: Transaction) -> None:
        """Whether a verified transaction may be the next of its account.

        Raises:
            Rejected: by a rule of the ledger.
        """
        block = transaction.block
        receivable = None
        if isinstance(block, OpenBlock | ReceiveBlock):
            receivable = self._receivables.get(block.send_hash)
        rules.check(block, transaction.hash, self.account(block.public_key), receivable)

    def confirm(self, transaction: Transaction) -> Confirmation:
        """Appends a verified transaction to its account.

        Raises:
            Rejected: by a rule of the ledger, nothing has changed.
        """
        self.check(transaction)
        block = transaction.block
        sender = None
        if isinstance(block, OpenBlock | ReceiveBlock):
            receivable = self._receivables.pop(block.send_hash)
            del self._receivables_of[block.public_key][block.send_hash]
            sender = receivable.sender_public_key
        return self._store(transaction, sender)

    def faucet(
        self, address: Address, amount_raw: int, now_ms: int, solve: Solver = find_work
    ) -> Confirmation:
        """Sends from the genesis account, with a real signature and real work.

        Raises:
            ProtocolError: an amount or a receiver nobody can send to.
        """
        block = self.faucet_block(address, amount_raw, now_ms)
        work = solve(self.network, block.timestamp, block.work_target)
        return self.apply(sign_genesis(block, work), now_ms)

    def faucet_block(self, address: Address, amount_raw: int, now_ms: int) -> SendBlock:
        """The next block for the genesis account to sign; raises as `faucet`."""
        state = self._histories[GENESIS_PUBLIC_KEY].state
        return send_block(
            state,
            receiver_public_key=address.public_key,
            amount=amount_raw,
            timestamp_ms=max(now_ms, state.timestamp_ms + 1),
        )

    def account(self, public_key: bytes) -> AccountState | None:
        history = self._histories.get(public_key)
        return history.state if history else None

    def accounts(self, public_keys: Iterable[bytes]) -> list[AccountState]:
        """The accounts of these that are open."""
        return [self._histories[key].state for key in public_keys if key in self._histories]

    def richest(self, count: int) -> list[AccountState]:
        states = (history.state for history in self._histories.values())
        return nlargest(count, states, key=lambda state: state.balance)

    def transaction(self, block_hash: bytes) -> Transaction | None:
        return self._transactions.get(block_hash)

    def transactions(self, public_key: bytes, from_height: int, to_height: int) -> list[Transaction]:
        """Confirmed transactions of the account with these heights, both included, ascending."""
        history = self._histories.get(public_key)
        return history.transactions[from_height - 1 : to_height] if history else []

    def entry(self, block_hash: bytes) -> AccountEntry | None:
        return self._entries.get(block_hash)

    def entries(self, public_key: bytes, from_height: int, to_height: int) -> list[AccountEntry]:
        """Entries of the account with these heights, both included, ascending."""
        history = self._histories.get(public_key)
        return history.entries[from_height - 1 : to_height] if history else []

    def receivables(self, public_keys: Iterable[bytes], min_amount_raw: int) -> Iterator[Receivable]:
        """Receivables of these accounts: a thousand accounts at a time, the largest amount first."""
        for keys in chunks(public_keys, _KEYS_PER_QUERY):
            found = [
                receivable
                for key in keys
                if key in self._receivables_of
                for receivable in self._receivables_of[key].values()
                if receivable.amount >= min_amount_raw
            ]
            yield from sorted(found, key=lambda receivable: receivable.amount, reverse=True)

    def pending(self) -> Iterable[Receivable]:
        """Every receivable of the ledger."""
        return self._receivables.values()

    def weight(self, public_key: bytes) -> int:
        """Balances in raw of the accounts this representative votes for."""
        return self._weights.get(public_key, 0)

    def _store(self, transaction: Transaction, sender: bytes | None) -> Confirmation:
        block = transaction.block
        before = self.account(block.public_key)
        after = state_after(block, before)
        entry = entry_of(block, before, sender)
        if before is None:
            self._histories[block.public_key] = _History(state=after)
        else:
            self._weights[before.representative_public_key] -= before.balance
        self._weights[after.representative_public_key] += after.balance
        history = self._histories[block.public_key]
        history.state = after
        history.transactions.append(transaction)
        history.entries.append(entry)
        self._transactions[entry.hash] = transaction
        self._entries[entry.hash] = entry
        receivable = self._receivable(block, entry.hash) if isinstance(block, SendBlock) else None
        return Confirmation(transaction=transaction, account=after, entry=entry, receivable=receivable)

    def _receivable(self, block: SendBlock, block_hash: bytes) -> Receivable:
        receivable = Receivable(
            network=block.network,
            hash=block_hash,
            version=block.version,
            sender_public_key=block.public_key,
            timestamp_ms=block.timestamp,
            receiver_public_key=block.receiver_public_key,
            amount=block.amount,
        )
        self._receivables[block_hash] = receivable
        self._receivables_of[block.receiver_public_key][block_hash] = receivable
        return receivable
