"""The ledger: what a confirmed block changes, and what it refuses for which reason."""

from dataclasses import replace
from typing import Any

import pytest

from strongroom.atto.protocol import (
    MAX_SUPPLY_RAW,
    AccountEntry,
    AccountState,
    BlockType,
    InsufficientBalance,
    Network,
    Receivable,
    Transaction,
    open_block,
    receive_block,
)
from strongroom_sandbox.atto import GENESIS_ADDRESS, Chain, Confirmation, Reason, Rejected
from support.atto_account import account

NOW_MS = 1_800_000_000_000
ALICE, BOB, CAROL = account(1), account(2), account(3)


@pytest.fixture
def chain() -> Chain:
    return Chain()


def fund(chain: Chain, amount_raw: int = 1000) -> Receivable:
    receivable = chain.faucet(ALICE.address, amount_raw, NOW_MS).receivable
    assert receivable is not None
    return receivable


@pytest.fixture
def alice(chain: Chain) -> AccountState:
    """Open, with one block, 1000 raw and herself as representative."""
    return chain.apply(ALICE.open(fund(chain)), NOW_MS).account


def changed(transaction: Transaction, **fields: Any) -> Transaction:
    """Alice's transaction with other fields in its block, worked and signed again."""
    return ALICE.sign(replace(transaction.block, **fields))


def refusal(chain: Chain, transaction: Transaction, now_ms: int = NOW_MS) -> Reason:
    """The reason, once it is known that nothing has changed."""
    before = chain.account(transaction.block.public_key)
    with pytest.raises(Rejected) as raised:
        chain.apply(transaction, now_ms)
    assert chain.account(transaction.block.public_key) == before
    is_known = raised.value.reason is Reason.ALREADY_CONFIRMED
    assert (chain.transaction(transaction.hash) is not None) is is_known
    return raised.value.reason


class TestConfirmation:
    def test_starts_with_the_whole_supply_on_the_genesis_account(self, chain: Chain) -> None:
        genesis = chain.account(GENESIS_ADDRESS.public_key)
        assert genesis is not None
        assert (genesis.network, genesis.height, genesis.balance) == (Network.LOCAL, 1, MAX_SUPPLY_RAW)
        assert chain.weight(GENESIS_ADDRESS.public_key) == MAX_SUPPLY_RAW
        transaction = chain.transaction(genesis.frontier)
        assert transaction is not None
        chain.verify(transaction, NOW_MS)

    def test_faucet_sends_from_genesis(self, chain: Chain) -> None:
        confirmation = chain.faucet(ALICE.address, 1000, NOW_MS)
        transaction = confirmation.transaction
        entry = AccountEntry(
            hash=transaction.hash,
            public_key=GENESIS_ADDRESS.public_key,
            height=2,
            block_type=BlockType.SEND,
            subject_public_key=ALICE.public_key,
            previous_balance=MAX_SUPPLY_RAW,
            balance=MAX_SUPPLY_RAW - 1000,
            timestamp_ms=NOW_MS,
        )
        receivable = Receivable(
            network=Network.LOCAL,
            hash=transaction.hash,
            version=0,
            sender_public_key=GENESIS_ADDRESS.public_key,
            timestamp_ms=NOW_MS,
            receiver_public_key=ALICE.public_key,
            amount=1000,
        )
        state = AccountState(
            network=Network.LOCAL,
            version=0,
            public_key=GENESIS_ADDRESS.public_key,
            height=2,
            balance=MAX_SUPPLY_RAW - 1000,
            frontier=transaction.hash,
            timestamp_ms=NOW_MS,
            representative_public_key=GENESIS_ADDRESS.public_key,
        )
        assert confirmation == Confirmation(
            transaction=transaction, account=state, entry=entry, receivable=receivable
        )
        assert chain.account(GENESIS_ADDRESS.public_key) == state
        assert chain.entry(transaction.hash) == entry
        assert list(chain.receivables([ALICE.public_key], 1)) == [receivable]

    def test_faucet_gives_each_of_its_blocks_a_later_time(self, chain: Chain) -> None:
        times = [chain.faucet(ALICE.address, 1, NOW_MS).entry.timestamp_ms for _ in range(3)]
        assert times == [NOW_MS, NOW_MS + 1, NOW_MS + 2]

    def test_faucet_refuses_what_genesis_does_not_have(self, chain: Chain) -> None:
        fund(chain)
        with pytest.raises(InsufficientBalance):
            chain.faucet(ALICE.address, MAX_SUPPLY_RAW, NOW_MS)

    def test_every_kind_of_block_is_an_entry_of_its_account(self, chain: Chain, alice: AccountState) -> None:
        sent = chain.apply(ALICE.send(alice, BOB.address, 400), NOW_MS)
        received = chain.apply(ALICE.receive(sent.account, fund(chain, 50)), NOW_MS)
        chain.apply(ALICE.change(received.account, CAROL.public_key), NOW_MS)
        entries = chain.entries(ALICE.public_key, 1, 4)
        assert [
            (entry.height, entry.block_type, entry.subject_public_key, entry.previous_balance, entry.balance)
            for entry in entries
        ] == [
            (1, BlockType.OPEN, GENESIS_ADDRESS.public_key, 0, 1000),
            (2, BlockType.SEND, BOB.public_key, 1000, 600),
            (3, BlockType.RECEIVE, GENESIS_ADDRESS.public_key, 600, 650),
            (4, BlockType.CHANGE, CAROL.public_key, 650, 650),
        ]
        assert [item.hash for item in chain.transactions(ALICE.public_key, 2, 3)] == [
            entries[1].hash,
            entries[2].hash,
        ]

    def test_weight_follows_balance_and_representative(self, chain: Chain, alice: AccountState) -> None:
        genesis = GENESIS_ADDRESS.public_key
        sent = chain.apply(ALICE.send(alice, BOB.address, 400), NOW_MS)
        assert [chain.weight(key) for key in (ALICE.public_key, genesis)] == [600, MAX_SUPPLY_RAW - 1000]
        chain.apply(ALICE.change(sent.account, CAROL.public_key), NOW_MS)
        assert [chain.weight(key) for key in (ALICE.public_key, CAROL.public_key)] == [0, 600]

    def test_receivables_come_largest_first_from_the_minimum_on(self, chain: Chain) -> None:
        for amount_raw in (5, 30, 9, 10):
            fund(chain, amount_raw)
        assert [item.amount for item in chain.receivables([BOB.public_key, ALICE.public_key], 9)] == [
            30,
            10,
            9,
        ]

    def test_richest_accounts_come_first(self, chain: Chain, alice: AccountState) -> None:
        genesis = chain.account(GENESIS_ADDRESS.public_key)
        assert chain.richest(5) == [genesis, alice]
        assert chain.richest(1) == [genesis]


class TestRefusal:
    def test_invalid_transaction_by_signature(self, chain: Chain) -> None:
        opening = ALICE.open(fund(chain))
        assert refusal(chain, replace(opening, signature=bytes(64))) is Reason.INVALID_TRANSACTION

    def test_invalid_transaction_by_work(self, chain: Chain) -> None:
        opening = ALICE.open(fund(chain))
        assert refusal(chain, replace(opening, work=bytes(8))) is Reason.INVALID_TRANSACTION

    def test_invalid_transaction_by_a_time_more_than_a_minute_ahead(self, chain: Chain) -> None:
        opening = ALICE.open(fund(chain), after_ms=1000)
        assert refusal(chain, opening, now_ms=NOW_MS - 60_000) is Reason.INVALID_TRANSACTION
        chain.apply(opening, NOW_MS - 59_000)

    def test_invalid_network(self, chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("strongroom_sandbox.atto.chain.chain.validate_transaction", lambda *_, **__: None)
        opening = ALICE.open(fund(chain))
        foreign = replace(opening, block=replace(opening.block, network=Network.DEV))
        assert refusal(chain, foreign) is Reason.INVALID_NETWORK

    def test_receivable_not_found(self, chain: Chain) -> None:
        opening = ALICE.open(fund(chain))
        assert refusal(chain, changed(opening, send_hash=bytes(32))) is Reason.RECEIVABLE_NOT_FOUND

    def test_receivable_is_consumed_by_its_block(self, chain: Chain) -> None:
        receivable = fund(chain)
        opened = chain.apply(ALICE.open(receivable), NOW_MS).account
        assert list(chain.receivables([ALICE.public_key], 1)) == []
        again = ALICE.sign(receive_block(opened, receivable, opened.timestamp_ms + 1))
        assert refusal(chain, again) is Reason.RECEIVABLE_NOT_FOUND

    def test_confirmed_open_is_not_recognised_when_it_comes_again(self, chain: Chain) -> None:
        opening = ALICE.open(fund(chain))
        chain.apply(opening, NOW_MS)
        with pytest.raises(Rejected) as raised:
            chain.apply(opening, NOW_MS)
        assert raised.value.reason is Reason.RECEIVABLE_NOT_FOUND

    def test_invalid_receiver(self, chain: Chain) -> None:
        receivable = replace(fund(chain), receiver_public_key=BOB.public_key)
        theft = BOB.sign(open_block(receivable, BOB.public_key, NOW_MS + 1))
        assert refusal(chain, theft) is Reason.INVALID_RECEIVER

    @pytest.mark.parametrize("balance", [999, 1001])
    def test_invalid_balance_of_open(self, chain: Chain, balance: int) -> None:
        assert refusal(chain, changed(ALICE.open(fund(chain)), balance=balance)) is Reason.INVALID_BALANCE

    def test_invalid_balance_of_receive(self, chain: Chain, alice: AccountState) -> None:
        receiving = ALICE.receive(alice, fund(chain, 50))
        assert refusal(chain, changed(receiving, balance=1051)) is Reason.INVALID_BALANCE

    def test_invalid_balance_of_change(self, chain: Chain, alice: AccountState) -> None:
        change = ALICE.change(alice, BOB.public_key)
        assert refusal(chain, changed(change, balance=1001)) is Reason.INVALID_BALANCE

    @pytest.mark.parametrize("amount", [399, 401])
    def test_invalid_amount(self, chain: Chain, alice: AccountState, amount: int) -> None:
        sending = ALICE.send(alice, BOB.address, 400)
        assert refusal(chain, changed(sending, amount=amount)) is Reason.INVALID_AMOUNT

    def test_invalid_timestamp_against_the_account(self, chain: Chain, alice: AccountState) -> None:
        sending = ALICE.send(alice, BOB.address, 400)
        late = changed(sending, timestamp=alice.timestamp_ms)
        assert refusal(chain, late) is Reason.INVALID_TIMESTAMP

    def test_invalid_timestamp_against_the_receivable(self, chain: Chain) -> None:
        receivable = fund(chain)
        opening = changed(ALICE.open(receivable), timestamp=receivable.timestamp_ms)
        assert refusal(chain, opening) is Reason.INVALID_TIMESTAMP

    def test_invalid_version(
        self, chain: Chain, alice: AccountState, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("strongroom.atto.protocol.validation.MAX_VERSION", 1)
        sending = ALICE.send(alice, BOB.address, 400)
        newer = chain.apply(changed(sending, version=1), NOW_MS).account
        older = changed(ALICE.send(newer, BOB.address, 400), version=0)
        assert refusal(chain, older) is Reason.INVALID_VERSION

    def test_invalid_previous(self, chain: Chain, alice: AccountState) -> None:
        sending = ALICE.send(alice, BOB.address, 400)
        assert refusal(chain, changed(sending, previous=bytes(32))) is Reason.INVALID_PREVIOUS

    def test_invalid_representative(self, chain: Chain, alice: AccountState) -> None:
        change = ALICE.change(alice, BOB.public_key)
        same = changed(change, representative_public_key=ALICE.public_key)
        assert refusal(chain, same) is Reason.INVALID_REPRESENTATIVE

    def test_previous_not_found_above_the_account(self, chain: Chain, alice: AccountState) -> None:
        sending = ALICE.send(alice, BOB.address, 400)
        assert refusal(chain, changed(sending, height=3)) is Reason.PREVIOUS_NOT_FOUND

    def test_previous_not_found_without_an_account(self, chain: Chain, alice: AccountState) -> None:
        never = replace(alice, public_key=BOB.public_key)
        assert refusal(chain, BOB.send(never, ALICE.address, 1)) is Reason.PREVIOUS_NOT_FOUND

    def test_old_transaction(self, chain: Chain, alice: AccountState) -> None:
        chain.apply(ALICE.send(alice, BOB.address, 400), NOW_MS)
        assert refusal(chain, ALICE.send(alice, BOB.address, 300)) is Reason.OLD_TRANSACTION

    def test_old_transaction_for_a_second_open(self, chain: Chain, alice: AccountState) -> None:
        chain.apply(ALICE.send(alice, BOB.address, 1000), NOW_MS)
        assert refusal(chain, ALICE.open(fund(chain))) is Reason.OLD_TRANSACTION

    def test_already_confirmed_is_only_the_frontier(self, chain: Chain, alice: AccountState) -> None:
        first = ALICE.send(alice, BOB.address, 400)
        state = chain.apply(first, NOW_MS).account
        assert refusal(chain, first) is Reason.ALREADY_CONFIRMED
        chain.apply(ALICE.send(state, BOB.address, 400), NOW_MS)
        with pytest.raises(Rejected) as raised:
            chain.apply(first, NOW_MS)
        assert raised.value.reason is Reason.OLD_TRANSACTION
