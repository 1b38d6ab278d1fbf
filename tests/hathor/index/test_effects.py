"""The effects of a batch are the difference between what its outputs gave before and after."""

from strongroom.hathor.index.effects import Delta, Effects, compute_effects
from strongroom.hathor.index.rows import OutputRow, OutputState, TransactionRow

ALICE, BOB = "alice", "bob"
MAKER, SPENDER = "01" * 32, "02" * 32
TOKEN = "00"


def output(
    *, stored: OutputState | None, now: OutputState | None, value: int = 7, timelock_s: int | None = None
) -> OutputRow:
    """Alice's output of MAKER, as it is in the database and as it is after the batch."""
    row = OutputRow(MAKER, 0, TOKEN, ALICE, value, 0, timelock_s, None)
    row.stored = stored
    if now is None:
        row.removed = True
    else:
        row.locked, row.spent_by, row.voided = now
    return row


def transaction(tx_id: str, *, stored: bool, live: bool) -> TransactionRow:
    row = TransactionRow(tx_id, 1, 1, False, None, 1.0, None)
    row.stored = row.values() if stored else None
    row.voided = not live
    return row


def effects_of(row: OutputRow, *affected: str) -> Effects:
    return compute_effects([row], {}, {}, set(affected))


UNSPENT = OutputState(locked=False, spent_by=None, voided=False)
LOCKED = OutputState(locked=True, spent_by=None, voided=False)
SPENT = OutputState(locked=False, spent_by=SPENDER, voided=False)
VOIDED = OutputState(locked=False, spent_by=None, voided=True)


def test_a_new_output_is_received_and_unlocked() -> None:
    effects = effects_of(output(stored=None, now=UNSPENT), MAKER)
    assert effects.balances[ALICE, TOKEN] == Delta(unlocked=7, received=7, transactions=1)
    assert effects.before[MAKER] == {}
    assert effects.after[MAKER] == {(ALICE, TOKEN): 7}
    assert effects.transactions == {ALICE: 1}


def test_a_spent_output_leaves_the_balance_and_stays_received() -> None:
    effects = effects_of(output(stored=UNSPENT, now=SPENT), SPENDER)
    assert effects.balances[ALICE, TOKEN] == Delta(unlocked=-7, received=0, transactions=1)
    assert effects.after[SPENDER] == {(ALICE, TOKEN): -7}


def test_an_output_that_comes_and_is_spent_in_one_batch_leaves_two_entries_and_no_balance() -> None:
    effects = effects_of(output(stored=None, now=SPENT), MAKER, SPENDER)
    assert effects.balances[ALICE, TOKEN] == Delta(received=7, transactions=2)
    assert (effects.after[MAKER], effects.after[SPENDER]) == ({(ALICE, TOKEN): 7}, {(ALICE, TOKEN): -7})


def test_a_voided_spender_gives_the_value_back() -> None:
    effects = effects_of(output(stored=SPENT, now=UNSPENT), SPENDER)
    assert effects.balances[ALICE, TOKEN] == Delta(unlocked=7, transactions=-1)
    assert effects.after[SPENDER] == {}
    assert effects.transactions == {ALICE: -1}


def test_a_voided_or_removed_output_takes_everything_with_it() -> None:
    for now in (VOIDED, None):
        effects = effects_of(output(stored=UNSPENT, now=now), MAKER)
        assert effects.balances[ALICE, TOKEN] == Delta(unlocked=-7, received=-7, transactions=-1)
        assert effects.after[MAKER] == {}


def test_an_opened_lock_moves_the_value_and_asks_for_the_flags_anew() -> None:
    effects = effects_of(output(stored=LOCKED, now=UNSPENT, timelock_s=5))
    assert effects.balances[ALICE, TOKEN] == Delta(unlocked=7, locked=-7)
    assert effects.flags == {(ALICE, TOKEN)}
    assert effects.transactions == {}


def test_values_of_one_transaction_are_summed_by_address_and_token() -> None:
    spent, change = output(stored=UNSPENT, now=SPENT, value=10), output(stored=None, now=UNSPENT, value=4)
    change.tx_id = SPENDER
    effects = compute_effects([spent, change], {}, {}, {SPENDER})
    assert effects.after[SPENDER] == {(ALICE, TOKEN): -6}
    assert effects.balances[ALICE, TOKEN] == Delta(unlocked=-6, received=4, transactions=1)


def test_the_caller_of_a_contract_takes_part_without_moving_anything() -> None:
    called = transaction(SPENDER, stored=False, live=True)
    effects = compute_effects([], {SPENDER: called}, {SPENDER: (BOB, 3)}, {SPENDER})
    assert effects.after[SPENDER] == {(BOB, TOKEN): 0}
    assert effects.transactions == {BOB: 1}
    fallen = transaction(SPENDER, stored=True, live=False)
    effects = compute_effects([], {SPENDER: fallen}, {SPENDER: (BOB, 3)}, {SPENDER})
    assert (effects.before[SPENDER], effects.after[SPENDER]) == ({(BOB, TOKEN): 0}, {})
    assert effects.transactions == {BOB: -1}
