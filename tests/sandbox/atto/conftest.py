"""A node whose time stands still."""

from collections.abc import AsyncIterator

import pytest

from strongroom_sandbox.atto import AttoSandbox, Chain
from support.atto_sandbox import SandboxNode, running
from support.clock import ManualClock


@pytest.fixture
async def node(clock: ManualClock) -> AsyncIterator[SandboxNode]:
    async with running(AttoSandbox(Chain(), clock)) as node:
        yield node
