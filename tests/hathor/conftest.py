import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import Revisions
from strongroom.hathor.definition import REVISIONS
from support.clock import ManualClock
from support.hathor.api import recorded_rows, serving_api
from support.hathor.proposals import Client

VECTORS = Path(__file__).parents[1] / "vectors" / "hathor"


@pytest.fixture(scope="session")
def vectors() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((VECTORS / "vectors.json").read_text())
    return loaded


@pytest.fixture(scope="session")
def components() -> Sequence[Revisions]:
    """A fresh database has the tables of Hathor, too."""
    return (REVISIONS,)


@pytest.fixture
async def client(database: Database, clock: ManualClock) -> AsyncIterator[Client]:
    """The recorded wallet, before a node that asks for little work."""
    async with serving_api(database, clock, rows=recorded_rows()) as api:
        client = Client(api)
        await client.announce()
        yield client
