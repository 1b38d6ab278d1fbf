"""What the command works on."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strongroom.core.ledger.contract import AnyLedger
from strongroom.core.ledger.installed import Installed, named
from strongroom.core.ledger.surroundings import Surroundings
from strongroom.core.security.access import Principal
from strongroom.core.storage.adoption.original import Original
from strongroom.core.storage.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A ledger, the database that its variables name, and who works on it."""

    definition: AnyLedger
    settings: Any
    surroundings: Surroundings
    installed: Installed
    original: Original
    data: Path
    despite_connections: bool
    by: Principal

    def obstacles(self, found: Iterable[str], others: Iterable[str]) -> list[str]:
        """Without those that the operator has allowed."""
        return [one for one in found if not (self.despite_connections and one in set(others))]


@asynccontextmanager
async def one_connection(target: Target) -> AsyncIterator[Database]:
    """Its own connections are not to be taken for those of other programs."""
    database = Database(target.installed.url, pool_size=1)
    try:
        with named(database):
            yield database
    finally:
        await database.close()
