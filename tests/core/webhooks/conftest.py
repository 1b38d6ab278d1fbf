"""A house with webhooks, on each engine."""

import pytest

from strongroom.core.storage.database import Database
from support.clock import ManualClock
from support.webhooks.house import WebhookHouse

pytestmark = pytest.mark.anyio


@pytest.fixture
def house(database: Database, clock: ManualClock) -> WebhookHouse:
    return WebhookHouse(database, clock)


@pytest.fixture
def second(replica: Database, clock: ManualClock) -> WebhookHouse:
    """Another process on the same database."""
    return WebhookHouse(replica, clock, seed=2)
