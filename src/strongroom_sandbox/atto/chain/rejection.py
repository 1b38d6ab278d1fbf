"""Why the ledger refuses a transaction, in the node's own words for it."""

from enum import StrEnum


class Reason(StrEnum):
    """The reasons a node gives.

    `INVALID_CHANGE` exists on the wire and is given by no rule: the node refuses such blocks with
    `INVALID_REPRESENTATIVE` or `INVALID_BALANCE`.
    """

    ALREADY_CONFIRMED = "ALREADY_CONFIRMED"
    INVALID_TRANSACTION = "INVALID_TRANSACTION"
    INVALID_NETWORK = "INVALID_NETWORK"
    INVALID_BALANCE = "INVALID_BALANCE"
    INVALID_AMOUNT = "INVALID_AMOUNT"
    INVALID_RECEIVER = "INVALID_RECEIVER"
    INVALID_CHANGE = "INVALID_CHANGE"
    INVALID_TIMESTAMP = "INVALID_TIMESTAMP"
    INVALID_VERSION = "INVALID_VERSION"
    INVALID_PREVIOUS = "INVALID_PREVIOUS"
    INVALID_REPRESENTATIVE = "INVALID_REPRESENTATIVE"
    PREVIOUS_NOT_FOUND = "PREVIOUS_NOT_FOUND"
    RECEIVABLE_NOT_FOUND = "RECEIVABLE_NOT_FOUND"
    OLD_TRANSACTION = "OLD_TRANSACTION"

    @property
    def recoverable(self) -> bool:
        """Whether the node looks at the same transaction again, because its cause may come later."""
        return self in {Reason.PREVIOUS_NOT_FOUND, Reason.RECEIVABLE_NOT_FOUND}


class Rejected(ValueError):
    """The ledger refuses the transaction; nothing has changed."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(f"{reason}: {text}")
        self.reason = reason
        self.text = text
