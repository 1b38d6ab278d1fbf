"""The ledger in JSON, truthful unless the fault `lie` says otherwise."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from strongroom.atto.protocol import (
    AccountEntry,
    AccountState,
    Network,
    OpenBlock,
    Receivable,
    Transaction,
    encode_account_entry,
    encode_account_state,
    encode_receivable,
    encode_transaction,
)
from strongroom_sandbox.atto.faults.faults import Faults, Lie

T = TypeVar("T")
_Liar = Mapping[Lie, Callable[[T], T]]


def _flipped(data: bytes) -> bytes:
    return bytes((data[0] ^ 1,)) + data[1:]


def _off_by_one(amount: int) -> int:
    """Another amount that is still within the supply."""
    return abs(amount - 1)


def _with_other_previous(transaction: Transaction) -> Transaction:
    block = transaction.block
    if isinstance(block, OpenBlock):
        return transaction
    return replace(transaction, block=replace(block, previous=_flipped(block.previous)))


_ACCOUNT: Final[_Liar[AccountState]] = {
    Lie.BALANCE: lambda state: replace(state, balance=_off_by_one(state.balance)),
    Lie.NETWORK: lambda state: replace(state, network=Network.LIVE),
    Lie.PREVIOUS: lambda state: replace(state, frontier=_flipped(state.frontier)),
    Lie.HEIGHT: lambda state: replace(state, height=state.height + 1),
    Lie.REPRESENTATIVE: lambda state: replace(
        state, representative_public_key=_flipped(state.representative_public_key)
    ),
}
_RECEIVABLE: Final[_Liar[Receivable]] = {
    Lie.BALANCE: lambda receivable: replace(receivable, amount=_off_by_one(receivable.amount)),
    Lie.NETWORK: lambda receivable: replace(receivable, network=Network.LIVE),
    Lie.SENDER: lambda receivable: replace(
        receivable, sender_public_key=_flipped(receivable.sender_public_key)
    ),
    Lie.HASH: lambda receivable: replace(receivable, hash=_flipped(receivable.hash)),
}
_TRANSACTION: Final[_Liar[Transaction]] = {
    Lie.BALANCE: lambda transaction: replace(
        transaction, block=replace(transaction.block, balance=_off_by_one(transaction.block.balance))
    ),
    Lie.NETWORK: lambda transaction: replace(
        transaction, block=replace(transaction.block, network=Network.LIVE)
    ),
    Lie.PREVIOUS: _with_other_previous,
    Lie.HASH: lambda transaction: replace(
        transaction, block=replace(transaction.block, timestamp=transaction.block.timestamp + 1)
    ),
    Lie.SIGNATURE: lambda transaction: replace(transaction, signature=_flipped(transaction.signature)),
    Lie.WORK: lambda transaction: replace(transaction, work=_flipped(transaction.work)),
}
_ENTRY: Final[_Liar[AccountEntry]] = {
    Lie.BALANCE: lambda entry: replace(entry, balance=_off_by_one(entry.balance)),
    Lie.HEIGHT: lambda entry: replace(entry, height=entry.height + 1),
    Lie.SENDER: lambda entry: replace(entry, subject_public_key=_flipped(entry.subject_public_key)),
    Lie.HASH: lambda entry: replace(entry, hash=_flipped(entry.hash)),
}


class Encoder:
    """JSON of single values, and of the lines of streams."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def account(self, state: AccountState) -> bytes:
        return encode_account_state(self._told(state, _ACCOUNT))

    def receivable(self, receivable: Receivable) -> bytes:
        return encode_receivable(self._told(receivable, _RECEIVABLE))

    def transaction(self, transaction: Transaction) -> bytes:
        return encode_transaction(self._told(transaction, _TRANSACTION))

    def entry(self, entry: AccountEntry) -> bytes:
        return encode_account_entry(self._told(entry, _ENTRY))

    def account_line(self, state: AccountState) -> bytes:
        return self.account(state) + b"\n"

    def receivable_line(self, receivable: Receivable) -> bytes:
        return self.receivable(receivable) + b"\n"

    def transaction_line(self, transaction: Transaction) -> bytes:
        return self.transaction(transaction) + b"\n"

    def entry_line(self, entry: AccountEntry) -> bytes:
        return self.entry(entry) + b"\n"

    def _told(self, truth: T, liar: _Liar[T]) -> T:
        lie = self._faults.lie
        return liar[lie](truth) if lie and lie in liar else truth
