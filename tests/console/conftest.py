from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.admin_office import Office, running_office
from support.clock import ManualClock
from support.console import Visitor


@pytest.fixture
async def office(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Office]:
    async with running_office(tmp_path, clock) as office:
        yield office


@pytest.fixture
async def visitor(office: Office) -> AsyncIterator[Visitor]:
    visitor = Visitor(str(office.client.base_url))
    yield visitor
    await visitor.client.aclose()
