"""What a ledger says of the program whose databases it takes over."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import Connection, MetaData


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginalVersion:
    """What the history of the original's migrations says."""

    name: str
    problem: str | None = None
    """Why this version cannot be taken over, for the operator."""


class Original(ABC):
    """The original of a ledger. A ledger subclasses this."""

    title: ClassVar[str]
    history: ClassVar[str]
    """The table in which the original's migration tool keeps its history."""

    @property
    @abstractmethod
    def tables(self) -> MetaData:
        """The ledger's tables; those without our prefix are the original's."""

    @abstractmethod
    def version(self, connection: Connection) -> OriginalVersion:
        """Reads the history, which is there."""

    def remember(self, connection: Connection) -> Any:
        """What the migration will change in rows, as JSON takes it; read before the migration."""
        del connection
        return None

    def restore(self, connection: Connection, remembered: Any) -> None:
        """Gives rows their values again, as far as they were not used since. It changes nothing when it runs again."""
        del connection, remembered

    def obstacles(self, connection: Connection) -> Sequence[str]:
        """What speaks against giving the database back now, for the operator."""
        del connection
        return ()
