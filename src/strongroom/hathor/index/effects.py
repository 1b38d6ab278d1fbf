"""Computes what follows from changed outputs: histories, balances and counters of addresses. Pure.

An output that is not voided adds its value to the history of its address in its own transaction, and takes the value
back in the transaction that spends it. While it is unspent, it is part of the balance. That is the whole definition, so
the effects of a batch are the difference of these values before and after.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from strongroom.hathor.index.rows import OutputRow, OutputState, TransactionRow
from strongroom.hathor.protocol.transactions import HATHOR_TOKEN

Pair = tuple[str, str]
"""(address or wallet, token)"""
Entries = dict[Pair, int]
"""The changes of one transaction."""


@dataclass(slots=True)
class Delta:
    """The change of a balance row."""

    unlocked: int = 0
    locked: int = 0
    received: int = 0
    transactions: int = 0

    def add(self, other: "Delta") -> None:
        self.unlocked += other.unlocked
        self.locked += other.locked
        self.received += other.received
        self.transactions += other.transactions


@dataclass(slots=True)
class Effects:
    before: dict[str, Entries] = field(default_factory=dict)
    """By transaction: its history entries before the batch."""
    after: dict[str, Entries] = field(default_factory=dict)
    balances: dict[Pair, Delta] = field(default_factory=lambda: defaultdict(Delta))
    flags: set[Pair] = field(default_factory=set)
    """Balances whose authorities and earliest timelock have to be read again: they are no sums that a change adds to."""
    transactions: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """By address: the change of its number of transactions."""


def compute_effects(
    outputs: Iterable[OutputRow],
    transactions: Mapping[str, TransactionRow],
    callers: Mapping[str, tuple[str, int]],
    affected: set[str],
) -> Effects:
    """Compares stored and new states.

    `outputs` must hold every output that an affected transaction makes or spends: the entries of a transaction are built
    from all of them, not only from those that changed.
    """
    effects = Effects(before={tx_id: {} for tx_id in affected}, after={tx_id: {} for tx_id in affected})
    for output in outputs:
        before, after = output.stored, output.state
        _enter(effects.before, output, before)
        _enter(effects.after, output, after)
        if before != after:
            _balance(effects, output, before, after)
    for tx_id in affected:
        if (caller := callers.get(tx_id)) is not None:
            row = transactions[tx_id]
            _enter_caller(effects.before[tx_id], caller[0], row.was_live)
            _enter_caller(effects.after[tx_id], caller[0], row.is_live)
        _count(effects, effects.before[tx_id], -1)
        _count(effects, effects.after[tx_id], +1)
    return effects


def _enter(entries: dict[str, Entries], output: OutputRow, state: OutputState | None) -> None:
    if state is None or state.voided:
        return
    pair = (output.address, output.token_id)
    made = entries.get(output.tx_id)
    if made is not None:
        made[pair] = made.get(pair, 0) + output.value
    if state.spent_by is not None:
        spent = entries.get(state.spent_by)
        if spent is not None:
            spent[pair] = spent.get(pair, 0) - output.value


def _enter_caller(entries: Entries, address: str, is_live: bool) -> None:
    """Adds the caller of a contract, who takes part in the transaction even where no value moves."""
    if is_live and not any(owner == address for owner, _token in entries):
        entries[address, HATHOR_TOKEN] = 0


def _balance(
    effects: Effects, output: OutputRow, before: OutputState | None, after: OutputState | None
) -> None:
    pair = (output.address, output.token_id)
    delta = effects.balances[pair]
    for state, value in ((before, -output.value), (after, output.value)):
        if state is None or state.voided:
            continue
        delta.received += value
        if state.spent_by is None:
            if state.locked:
                delta.locked += value
            else:
                delta.unlocked += value
    if output.authorities or output.timelock_s is not None:
        effects.flags.add(pair)


def _count(effects: Effects, entries: Entries, sign: int) -> None:
    for pair in entries:
        effects.balances[pair].transactions += sign
    for address in {pair[0] for pair in entries}:
        effects.transactions[address] += sign
