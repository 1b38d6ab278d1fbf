"""Builds the next block of an account, and computes the account's state after a block."""

from strongroom.atto.protocol.blocks import Block, ChangeBlock, OpenBlock, ReceiveBlock, SendBlock
from strongroom.atto.protocol.errors import InsufficientBalance, InvalidAmount, InvalidTransaction
from strongroom.atto.protocol.values import AccountEntry, AccountState, Receivable


def open_block(receivable: Receivable, representative_public_key: bytes, timestamp_ms: int) -> OpenBlock:
    """The first block of the receivable's receiver.

    Raises:
        InvalidTransaction: the timestamp is not later than that of the send.
        InvalidAmount: the receivable is empty.
    """
    _require_receivable(receivable, timestamp_ms)
    return OpenBlock(
        network=receivable.network,
        version=receivable.version,
        public_key=receivable.receiver_public_key,
        balance=receivable.amount,
        timestamp=timestamp_ms,
        send_hash=receivable.hash,
        representative_public_key=representative_public_key,
    )


def receive_block(state: AccountState, receivable: Receivable, timestamp_ms: int) -> ReceiveBlock:
    """Adds the receivable to the account.

    Raises:
        InvalidTransaction: the receivable is for another account or network, or the timestamp is not later than those of
            the send and of the account's last block.
        InvalidAmount: the receivable is empty, or the sum is above the supply.
    """
    if receivable.receiver_public_key != state.public_key:
        raise InvalidTransaction("The receivable belongs to another account")
    if receivable.network != state.network:
        raise InvalidTransaction("The receivable belongs to another network")
    _require_receivable(receivable, timestamp_ms)
    _require_later(timestamp_ms, state)
    return ReceiveBlock(
        network=state.network,
        version=max(state.version, receivable.version),
        public_key=state.public_key,
        height=state.height + 1,
        balance=state.balance + receivable.amount,
        timestamp=timestamp_ms,
        previous=state.frontier,
        send_hash=receivable.hash,
    )


def send_block(state: AccountState, receiver_public_key: bytes, amount: int, timestamp_ms: int) -> SendBlock:
    """Sends `amount` raw.

    Raises:
        InvalidTransaction: the account sends to itself, or the timestamp is not later than that of its last block.
        InvalidAmount: the amount is 0 or less.
        InsufficientBalance: the amount is above the balance.
    """
    if receiver_public_key == state.public_key:
        raise InvalidTransaction("You can't send money to yourself")
    if amount <= 0:
        raise InvalidAmount("Amount must be greater than 0")
    if amount > state.balance:
        raise InsufficientBalance(f"Balance is {state.balance} raw, less than the amount of {amount} raw")
    _require_later(timestamp_ms, state)
    return SendBlock(
        network=state.network,
        version=state.version,
        public_key=state.public_key,
        height=state.height + 1,
        balance=state.balance - amount,
        timestamp=timestamp_ms,
        previous=state.frontier,
        receiver_public_key=receiver_public_key,
        amount=amount,
    )


def change_block(state: AccountState, representative_public_key: bytes, timestamp_ms: int) -> ChangeBlock:
    """Changes the representative.

    Raises:
        InvalidTransaction: the account already has this representative, or the timestamp is not later than that of its
            last block.
    """
    if representative_public_key == state.representative_public_key:
        raise InvalidTransaction("The account already has this representative")
    _require_later(timestamp_ms, state)
    return ChangeBlock(
        network=state.network,
        version=state.version,
        public_key=state.public_key,
        height=state.height + 1,
        balance=state.balance,
        timestamp=timestamp_ms,
        previous=state.frontier,
        representative_public_key=representative_public_key,
    )


def state_after(block: Block, state: AccountState | None) -> AccountState:
    """The account's state after `block`. `state` is the state before it, None for an account that is not open.

    An OPEN or RECEIVE block does not contain the received amount: the caller compares the balance with the receivable.

    Raises:
        InvalidTransaction: the block does not follow `state`.
    """
    if state is None:
        if not isinstance(block, OpenBlock):
            raise InvalidTransaction("The account is not open")
        representative = block.representative_public_key
    else:
        if isinstance(block, OpenBlock):
            raise InvalidTransaction("The account is already open")
        _require_follows(block, state)
        representative = state.representative_public_key
        if isinstance(block, ChangeBlock):
            representative = block.representative_public_key
    return AccountState(
        network=block.network,
        version=block.version,
        public_key=block.public_key,
        height=block.height,
        balance=block.balance,
        frontier=block.hash,
        timestamp_ms=block.timestamp,
        representative_public_key=representative,
    )


def entry_of(
    block: Block, state_before: AccountState | None, sender_public_key: bytes | None = None
) -> AccountEntry:
    """The history entry of `block`. For OPEN and RECEIVE pass the sender: the receivable has it, the block does not.

    Raises:
        InvalidTransaction: the sender is missing.
    """
    return AccountEntry(
        hash=block.hash,
        public_key=block.public_key,
        height=block.height,
        block_type=block.type,
        subject_public_key=_subject_of(block, sender_public_key),
        previous_balance=state_before.balance if state_before else 0,
        balance=block.balance,
        timestamp_ms=block.timestamp,
    )


def _subject_of(block: Block, sender_public_key: bytes | None) -> bytes:
    match block:
        case SendBlock():
            return block.receiver_public_key
        case ChangeBlock():
            return block.representative_public_key
        case OpenBlock() | ReceiveBlock():
            if sender_public_key is None:
                raise InvalidTransaction(f"The entry of a block of type {block.type.name} needs the sender")
            return sender_public_key


def _require_receivable(receivable: Receivable, timestamp_ms: int) -> None:
    if timestamp_ms <= receivable.timestamp_ms:
        raise InvalidTransaction("Timestamp can't be before receivable timestamp")
    if receivable.amount == 0:
        raise InvalidAmount("Amount must be greater than 0")


def _require_later(timestamp_ms: int, state: AccountState) -> None:
    if timestamp_ms <= state.timestamp_ms:
        raise InvalidTransaction("Timestamp must be later than that of the account's last block")


def _require_follows(block: ReceiveBlock | SendBlock | ChangeBlock, state: AccountState) -> None:
    if (block.network, block.public_key) != (state.network, state.public_key):
        raise InvalidTransaction("The block belongs to another account")
    if block.height != state.height + 1:
        raise InvalidTransaction(f"Height must be {state.height + 1}, not {block.height}")
    if block.previous != state.frontier:
        raise InvalidTransaction("Previous is not the account's last block")
    if block.version < state.version:
        raise InvalidTransaction("Version can't be lower than that of the account")
    _require_later(block.timestamp, state)
    if not _balance_follows(block, state):
        raise InvalidTransaction("Balance does not follow from the account's last block")
    if isinstance(block, ChangeBlock) and block.representative_public_key == state.representative_public_key:
        raise InvalidTransaction("The account already has this representative")


def _balance_follows(block: ReceiveBlock | SendBlock | ChangeBlock, state: AccountState) -> bool:
    match block:
        case SendBlock():
            return block.balance + block.amount == state.balance
        case ReceiveBlock():
            return block.balance > state.balance
        case ChangeBlock():
            return block.balance == state.balance
