"""Rules that a transaction keeps by itself; a node refuses what does not. Cheap checks come first."""

from typing import Final

from strongroom.atto.protocol.blocks import Block, ChangeBlock, OpenBlock, ReceiveBlock, SendBlock
from strongroom.atto.protocol.errors import InvalidAmount, InvalidTransaction
from strongroom.atto.protocol.keys import verify
from strongroom.atto.protocol.networks import MAX_VERSION, Network
from strongroom.atto.protocol.transactions import Transaction
from strongroom.atto.protocol.work import verify_work

MAX_FUTURE_MS: Final = 60_000
"""How far the timestamp of a block may be ahead of the node's clock."""


def validate_transaction(transaction: Transaction, *, network: Network, now_ms: int) -> None:
    """Returns when the transaction is valid by itself; whether it fits its account is for `building.state_after`.

    Raises:
        InvalidTransaction: network, version, height, receiver or timestamp.
        InvalidAmount: nothing is sent or received.
        InvalidWork: the work is too weak for the block's year.
        InvalidSignature: the block was not signed with its key.
    """
    block = transaction.block
    if block.network != network:
        raise InvalidTransaction(f"Block is of network {block.network.name}, not {network.name}")
    if block.version > MAX_VERSION:
        raise InvalidTransaction(f"Invalid version: version={block.version} > max={MAX_VERSION}")
    _validate_kind(block)
    if block.timestamp > now_ms + MAX_FUTURE_MS:
        raise InvalidTransaction("Timestamp too far in the future")
    verify_work(network, block.timestamp, block.work_target, transaction.work)
    verify(block.public_key, block.hash, transaction.signature)


def _validate_kind(block: Block) -> None:
    if not isinstance(block, OpenBlock) and block.height <= 1:
        raise InvalidTransaction(f"Height must be greater than 1: height={block.height}")
    match block:
        case OpenBlock() | ReceiveBlock():
            if block.balance == 0:
                raise InvalidAmount("Balance must be greater than 0")
        case SendBlock():
            if block.amount == 0:
                raise InvalidAmount("Amount must be greater than 0")
            if block.receiver_public_key == block.public_key:
                raise InvalidTransaction("You can't send money to yourself")
        case ChangeBlock():
            pass
