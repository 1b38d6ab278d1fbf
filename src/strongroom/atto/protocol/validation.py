"""Checks the rules of a single transaction, without its account. A node refuses a transaction that breaks one."""

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
    """Returns when the transaction is valid by itself; `building.state_after` checks whether it fits its account.

    Raises:
        InvalidTransaction: the network, version, height, receiver or timestamp is wrong.
        InvalidAmount: the amount or the balance is 0.
        InvalidWork: the work is too weak for the year of the block's timestamp.
        InvalidSignature: the account's key did not sign the block.
    """
    block = transaction.block
    if block.network != network:
        raise InvalidTransaction(f"Block is of network {block.network.name}, not {network.name}")
    if block.version > MAX_VERSION:
        raise InvalidTransaction(f"Invalid version: version={block.version} > max={MAX_VERSION}")
    _validate_kind(block)
    if block.timestamp > now_ms + MAX_FUTURE_MS:
        raise InvalidTransaction("Timestamp too far in the future")
    # The signature comes last: it costs more than all other checks together.
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
