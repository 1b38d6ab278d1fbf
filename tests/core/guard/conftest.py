"""A guard on a fresh database of each engine."""

import pytest

from strongroom.core.storage.database import Database
from support.clock import ManualClock
from support.guarding import Guarded


@pytest.fixture
async def guarded(database: Database, clock: ManualClock) -> Guarded:
    return Guarded(database, clock)
