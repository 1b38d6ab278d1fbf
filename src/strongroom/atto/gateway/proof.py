"""Proves the node's statements about an account by the account's own signature."""

from strongroom.atto.gateway import InvalidNodeResponse
from strongroom.atto.protocol import ProtocolError, Transaction, verify


def require_signature(transaction: Transaction, what: str) -> None:
    """Raises InvalidNodeResponse unless the account's key signed the block; `what` names the block in the message."""
    block = transaction.block
    try:
        verify(block.public_key, block.hash, transaction.signature)
    except ProtocolError as error:
        raise InvalidNodeResponse(f"The node sent a wrong signature for {what}") from error
