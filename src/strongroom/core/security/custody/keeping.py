"""What the key-encryption keys of one ledger are kept for, and where they come from."""

from dataclasses import dataclass

from strongroom.core.clock import Clock, Entropy
from strongroom.core.security.custody.backends import KeyBackends, KeySupply
from strongroom.core.security.holdings import Holdings
from strongroom.core.security.keys.source import KeySource
from strongroom.core.storage.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    source: KeySource
    holdings: Holdings
    database: Database
    clock: Clock
    entropy: Entropy
    backends: KeyBackends | None = None

    @property
    def supply(self) -> KeySupply:
        """Everything that gives the ledger keys."""
        return KeySupply(source=self.source, backends=self.backends)

    @property
    def makes_keys(self) -> bool:
        """Whether the service makes new keys itself, for its own file or wrapped by a backend."""
        return self.source.given is None or self.wraps

    @property
    def wraps(self) -> bool:
        """Whether a backend wraps new keys."""
        return self.backends is not None and self.backends.newest is not None
