"""Errors of the Atto protocol.

Each class has a stable `code` for programs. Messages name fields and rules and never contain a secret.
"""

from typing import ClassVar


class ProtocolError(ValueError):
    """Base of every error of the protocol."""

    code: ClassVar[str] = "invalid_value"


class InvalidNetwork(ProtocolError):
    code = "invalid_network"


class InvalidMnemonic(ProtocolError):
    code = "invalid_mnemonic"


class InvalidKey(ProtocolError):
    code = "invalid_key"


class InvalidAddress(ProtocolError):
    code = "invalid_address"


class InvalidAmount(ProtocolError):
    code = "invalid_amount"


class InsufficientBalance(InvalidAmount):
    code = "insufficient_balance"


class InvalidBlock(ProtocolError):
    """Bytes, JSON or fields that do not form a block, or another record of the ledger."""

    code = "invalid_block"


class InvalidTransaction(ProtocolError):
    """A well-formed block or transaction that breaks a rule of the ledger."""

    code = "invalid_transaction"


class InvalidWork(ProtocolError):
    code = "invalid_work"


class InvalidSignature(ProtocolError):
    code = "invalid_signature"
