"""What a ledger did with a payload that it took: on some ledgers a block may hold a call that fails there."""

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import ColumnElement, Connection


class ExecutionState(enum.StrEnum):
    """Whether it had its effect."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    """The ledger has the payload, and what it asks for did not happen."""
    UNKNOWN = "UNKNOWN"
    """The ledger has the payload, and nobody who was asked can tell any more what it did with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Of one payload that the ledger has."""

    state: ExecutionState
    reason: str | None = None
    """In the ledger's words, why it failed or is not known."""


class Executions(Protocol):
    """What is stored of a ledger's executions. A ledger where all that is accepted has its effect has none."""

    def load(self, connection: Connection, ids: Collection[bytes]) -> Mapping[bytes, Execution]:
        """Of ACCEPTED intents with these ids, at once. One that is missing had its effect with its acceptance."""

    def having(self, state: ExecutionState) -> ColumnElement[bool]:
        """A condition on the rows of ACCEPTED intents (`core.intents.tables.intent`)."""
