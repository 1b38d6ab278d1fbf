"""Proof of what the node says about an account: the account's own key must have signed it."""

from strongroom.atto.gateway import InvalidNodeResponse
from strongroom.atto.protocol import ProtocolError, Transaction, verify


def require_signature(transaction: Transaction, what: str) -> None:
    """Raises InvalidNodeResponse unless the key of the block's account signed it; `what` says which block it is."""
    block = transaction.block
    try:
        verify(block.public_key, block.hash, transaction.signature)
    except ProtocolError as error:
        raise InvalidNodeResponse(f"The signature is wrong of {what}") from error
