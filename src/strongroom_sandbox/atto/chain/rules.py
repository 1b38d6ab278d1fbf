"""The ledger's rules that need its state. `protocol.validation` has the rules for a block alone.

The order is the node's: it decides which reason a block with several faults is refused with.
"""

from strongroom.atto.protocol import (
    AccountState,
    Block,
    ChangeBlock,
    OpenBlock,
    Receivable,
    ReceiveBlock,
    SendBlock,
)
from strongroom_sandbox.atto.chain.rejection import Reason, Rejected


def check(block: Block, block_hash: bytes, state: AccountState | None, receivable: Receivable | None) -> None:
    """Returns when `block` may follow `state`.

    Args:
        block: already valid by itself.
        block_hash: its hash.
        state: of the block's account, None if it is not open.
        receivable: what the block's `send_hash` names, None if there is no such receivable.

    Raises:
        Rejected: with the node's reason.
    """
    match block:
        case OpenBlock():
            _check_receive(block, 0, receivable)
            if state is not None:
                raise Rejected(Reason.OLD_TRANSACTION, "The account is open already")
        case ReceiveBlock():
            known = _check_link(block, block_hash, state)
            _check_receive(block, known.balance, receivable)
        case SendBlock():
            known = _check_link(block, block_hash, state)
            if known.balance != block.balance + block.amount:
                raise Rejected(
                    Reason.INVALID_AMOUNT,
                    f"The balance {known.balance} is not {block.balance} and the sent {block.amount}",
                )
        case ChangeBlock():
            known = _check_link(block, block_hash, state)
            _check_change(block, known)


def _check_link(
    block: ReceiveBlock | SendBlock | ChangeBlock, block_hash: bytes, state: AccountState | None
) -> AccountState:
    height = state.height if state else 0
    if state and state.frontier == block_hash:
        raise Rejected(Reason.ALREADY_CONFIRMED, "The block is the frontier of its account")
    if state is None or height + 1 < block.height:
        raise Rejected(
            Reason.PREVIOUS_NOT_FOUND,
            f"The account has {height} blocks, the block comes as number {block.height}",
        )
    if height >= block.height:
        raise Rejected(
            Reason.OLD_TRANSACTION, f"The account has {height} blocks, number {block.height} is decided"
        )
    if block.version < state.version:
        raise Rejected(Reason.INVALID_VERSION, f"The account has reached version {state.version}")
    if block.timestamp <= state.timestamp_ms:
        raise Rejected(Reason.INVALID_TIMESTAMP, f"The account's last block is of {state.timestamp_ms}")
    if block.previous != state.frontier:
        raise Rejected(Reason.INVALID_PREVIOUS, f"The account's last block is {state.frontier.hex().upper()}")
    return state


def _check_receive(block: OpenBlock | ReceiveBlock, balance: int, receivable: Receivable | None) -> None:
    if receivable is None:
        raise Rejected(Reason.RECEIVABLE_NOT_FOUND, f"There is no receivable {block.send_hash.hex().upper()}")
    if block.public_key != receivable.receiver_public_key:
        raise Rejected(Reason.INVALID_RECEIVER, "The receivable is of another account")
    if block.timestamp <= receivable.timestamp_ms:
        raise Rejected(Reason.INVALID_TIMESTAMP, f"The receivable is of {receivable.timestamp_ms}")
    if block.balance != balance + receivable.amount:
        raise Rejected(
            Reason.INVALID_BALANCE, f"The balance must be {balance + receivable.amount}, not {block.balance}"
        )


def _check_change(block: ChangeBlock, state: AccountState) -> None:
    if block.representative_public_key == state.representative_public_key:
        raise Rejected(Reason.INVALID_REPRESENTATIVE, "The account has this representative already")
    if block.balance != state.balance:
        raise Rejected(Reason.INVALID_BALANCE, f"The balance must stay {state.balance}")
