from collections.abc import Callable
from dataclasses import replace

import pytest

from atto.protocol.signed import OTHER_KEY, PUBLIC_KEY
from strongroom.atto.protocol import (
    MAX_SUPPLY_RAW,
    U64_MAX,
    AccountEntry,
    AccountState,
    Block,
    ChangeBlock,
    InsufficientBalance,
    InvalidAmount,
    InvalidBlock,
    InvalidTransaction,
    Network,
    OpenBlock,
    ProtocolError,
    Receivable,
    ReceiveBlock,
    SendBlock,
    change_block,
    entry_of,
    open_block,
    receive_block,
    send_block,
    state_after,
)

LAST_MS = 1_782_864_000_000
NOW_MS = LAST_MS + 1
FRONTIER, SEND_HASH, REPRESENTATIVE = b"\x01" * 32, b"\x02" * 32, b"\x03" * 32
STATE = AccountState(
    network=Network.LOCAL,
    version=0,
    public_key=PUBLIC_KEY,
    height=7,
    balance=100,
    frontier=FRONTIER,
    timestamp_ms=LAST_MS,
    representative_public_key=REPRESENTATIVE,
)
RECEIVABLE = Receivable(
    network=Network.LOCAL,
    hash=SEND_HASH,
    version=0,
    sender_public_key=OTHER_KEY,
    timestamp_ms=LAST_MS,
    receiver_public_key=PUBLIC_KEY,
    amount=11,
)
OPEN = open_block(RECEIVABLE, REPRESENTATIVE, NOW_MS)
RECEIVE = receive_block(STATE, RECEIVABLE, NOW_MS)
SEND = send_block(STATE, OTHER_KEY, 40, NOW_MS)
CHANGE = change_block(STATE, OTHER_KEY, NOW_MS)


def test_open_block() -> None:
    assert open_block(RECEIVABLE, REPRESENTATIVE, NOW_MS) == OpenBlock(
        network=Network.LOCAL,
        version=0,
        public_key=PUBLIC_KEY,
        balance=11,
        timestamp=NOW_MS,
        send_hash=SEND_HASH,
        representative_public_key=REPRESENTATIVE,
    )


def test_receive_block() -> None:
    assert receive_block(STATE, RECEIVABLE, NOW_MS) == ReceiveBlock(
        network=Network.LOCAL,
        version=0,
        public_key=PUBLIC_KEY,
        height=8,
        balance=111,
        timestamp=NOW_MS,
        previous=FRONTIER,
        send_hash=SEND_HASH,
    )


def test_receive_takes_the_higher_version() -> None:
    assert receive_block(STATE, replace(RECEIVABLE, version=2), NOW_MS).version == 2
    assert receive_block(replace(STATE, version=3), replace(RECEIVABLE, version=2), NOW_MS).version == 3


def test_send_block() -> None:
    assert send_block(STATE, OTHER_KEY, 40, NOW_MS) == SendBlock(
        network=Network.LOCAL,
        version=0,
        public_key=PUBLIC_KEY,
        height=8,
        balance=60,
        timestamp=NOW_MS,
        previous=FRONTIER,
        receiver_public_key=OTHER_KEY,
        amount=40,
    )


def test_whole_balance_can_be_sent() -> None:
    assert send_block(STATE, OTHER_KEY, 100, NOW_MS).balance == 0


def test_change_block() -> None:
    assert change_block(STATE, OTHER_KEY, NOW_MS) == ChangeBlock(
        network=Network.LOCAL,
        version=0,
        public_key=PUBLIC_KEY,
        height=8,
        balance=100,
        timestamp=NOW_MS,
        previous=FRONTIER,
        representative_public_key=OTHER_KEY,
    )


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (
            lambda: open_block(RECEIVABLE, REPRESENTATIVE, LAST_MS),
            InvalidTransaction,
            "Timestamp can't be before receivable timestamp",
        ),
        (
            lambda: open_block(replace(RECEIVABLE, amount=0), REPRESENTATIVE, NOW_MS),
            InvalidAmount,
            "Amount must be greater than 0",
        ),
        (
            lambda: receive_block(STATE, replace(RECEIVABLE, timestamp_ms=NOW_MS), NOW_MS),
            InvalidTransaction,
            "Timestamp can't be before receivable timestamp",
        ),
        (
            lambda: receive_block(STATE, replace(RECEIVABLE, receiver_public_key=OTHER_KEY), NOW_MS),
            InvalidTransaction,
            "The receivable belongs to another account",
        ),
        (
            lambda: receive_block(STATE, replace(RECEIVABLE, network=Network.LIVE), NOW_MS),
            InvalidTransaction,
            "The receivable belongs to another network",
        ),
        (
            lambda: receive_block(STATE, replace(RECEIVABLE, amount=MAX_SUPPLY_RAW), NOW_MS),
            InvalidAmount,
            "balance must be between 0 and 18000000000000000000",
        ),
        (
            lambda: receive_block(replace(STATE, timestamp_ms=NOW_MS), RECEIVABLE, NOW_MS),
            InvalidTransaction,
            "Timestamp must be later than that of the account's last block",
        ),
        (
            lambda: send_block(STATE, PUBLIC_KEY, 1, NOW_MS),
            InvalidTransaction,
            "You can't send money to yourself",
        ),
        (
            lambda: send_block(STATE, OTHER_KEY, 0, NOW_MS),
            InvalidAmount,
            "Amount must be greater than 0",
        ),
        (
            lambda: send_block(STATE, OTHER_KEY, 101, NOW_MS),
            InsufficientBalance,
            "Balance is 100 raw, less than the amount of 101 raw",
        ),
        (
            lambda: send_block(STATE, OTHER_KEY, 1, LAST_MS),
            InvalidTransaction,
            "Timestamp must be later than that of the account's last block",
        ),
        (
            lambda: send_block(replace(STATE, height=U64_MAX), OTHER_KEY, 1, NOW_MS),
            InvalidBlock,
            "height must be between 1 and 18446744073709551615",
        ),
        (
            lambda: change_block(STATE, REPRESENTATIVE, NOW_MS),
            InvalidTransaction,
            "The account already has this representative",
        ),
        (
            lambda: change_block(STATE, OTHER_KEY, LAST_MS),
            InvalidTransaction,
            "Timestamp must be later than that of the account's last block",
        ),
    ],
)
def test_impossible_blocks_are_refused(
    build: Callable[[], Block], error: type[ProtocolError], message: str
) -> None:
    with pytest.raises(error) as refusal:
        build()
    assert type(refusal.value) is error
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("block", "before", "representative"),
    [
        (OPEN, None, REPRESENTATIVE),
        (RECEIVE, STATE, REPRESENTATIVE),
        (SEND, STATE, REPRESENTATIVE),
        (CHANGE, STATE, OTHER_KEY),
    ],
)
def test_state_after(block: Block, before: AccountState | None, representative: bytes) -> None:
    assert state_after(block, before) == AccountState(
        network=Network.LOCAL,
        version=0,
        public_key=PUBLIC_KEY,
        height=block.height,
        balance=block.balance,
        frontier=block.hash,
        timestamp_ms=NOW_MS,
        representative_public_key=representative,
    )


@pytest.mark.parametrize(
    ("block", "before", "message"),
    [
        (OPEN, STATE, "The account is already open"),
        (SEND, None, "The account is not open"),
        (SEND, replace(STATE, network=Network.DEV), "The block belongs to another account"),
        (SEND, replace(STATE, public_key=OTHER_KEY), "The block belongs to another account"),
        (SEND, replace(STATE, height=8), "Height must be 9, not 8"),
        (SEND, replace(STATE, frontier=SEND_HASH), "Previous is not the account's last block"),
        (SEND, replace(STATE, version=1), "Version can't be lower than that of the account"),
        (
            SEND,
            replace(STATE, timestamp_ms=NOW_MS),
            "Timestamp must be later than that of the account's last block",
        ),
        (SEND, replace(STATE, balance=101), "Balance does not follow from the account's last block"),
        (RECEIVE, replace(STATE, balance=111), "Balance does not follow from the account's last block"),
        (CHANGE, replace(STATE, balance=99), "Balance does not follow from the account's last block"),
        (
            CHANGE,
            replace(STATE, representative_public_key=OTHER_KEY),
            "The account already has this representative",
        ),
    ],
)
def test_block_that_does_not_follow_is_refused(
    block: Block, before: AccountState | None, message: str
) -> None:
    with pytest.raises(InvalidTransaction) as refusal:
        state_after(block, before)
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("block", "before", "previous_balance", "sender"),
    [
        (OPEN, None, 0, OTHER_KEY),
        (RECEIVE, STATE, 100, OTHER_KEY),
        (SEND, STATE, 100, None),
        (CHANGE, STATE, 100, None),
    ],
)
def test_entry_of(
    block: Block, before: AccountState | None, previous_balance: int, sender: bytes | None
) -> None:
    assert entry_of(block, before, sender) == AccountEntry(
        hash=block.hash,
        public_key=PUBLIC_KEY,
        height=block.height,
        block_type=block.type,
        subject_public_key=OTHER_KEY,
        previous_balance=previous_balance,
        balance=block.balance,
        timestamp_ms=NOW_MS,
    )


@pytest.mark.parametrize("block", [OPEN, RECEIVE])
def test_entry_of_a_receipt_needs_its_sender(block: Block) -> None:
    with pytest.raises(InvalidTransaction, match="needs the sender"):
        entry_of(block, None)
