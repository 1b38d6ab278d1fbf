"""A change of AUTH_SECRET: what its owner made before stays valid if the one before is given once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from strongroom.commands.context import surroundings
from strongroom.core.guard.rows.accepting import AlteredRows
from strongroom.core.guard.rows.check import RowProblem
from strongroom.core.security.access import OPERATOR
from strongroom.hathor.definition import LEDGER
from strongroom.hathor.ledger import HathorLedger
from strongroom.settings import read_settings
from support.clock import SeededEntropy
from support.trail import verify

pytestmark = pytest.mark.anyio

ONE, TWO = "one-" * 8, "two-" * 8


@asynccontextmanager
async def ledger(folder: Path, **secrets: str) -> AsyncIterator[HathorLedger]:
    node = {"NETWORK": "testnet", "DEFAULT_SERVER": "http://127.0.0.1:1/v1a/"}
    settings = read_settings({"STRONGROOM_DATA": str(folder), **node, **secrets}, ("hathor",))
    own = settings.of(LEDGER)
    assert own is not None
    running = LEDGER.make(own, surroundings(settings))
    try:
        await running.prepare()
        await running.open_trail()
        yield running
    finally:
        await running.close()


async def altered(running: HathorLedger) -> list[RowProblem]:
    return await AlteredRows(running.database, running.audit, SeededEntropy()).look()


async def test_tokens_and_the_trail_outlive_a_change(tmp_path: Path) -> None:
    async with ledger(tmp_path, AUTH_SECRET=ONE) as running:
        made = await running.tokens.create(OPERATOR, "shop", ["hathor:*"])
    async with ledger(tmp_path, AUTH_SECRET=TWO, AUTH_SECRET_PREVIOUS=ONE) as running:
        assert await altered(running) == []
        await running.tokens.revoke(OPERATOR, made.id)
    async with ledger(tmp_path, AUTH_SECRET=TWO) as running:
        assert await altered(running) == []
        assert await verify(running.database, running.trail_key) >= 2


async def test_without_the_one_before_nothing_counts_until_it_is_given(tmp_path: Path) -> None:
    async with ledger(tmp_path, AUTH_SECRET=ONE) as running:
        await running.tokens.create(OPERATOR, "shop", ["hathor:*"])
    async with ledger(tmp_path, AUTH_SECRET=TWO) as running:
        assert await altered(running)
    async with ledger(tmp_path, AUTH_SECRET=ONE) as running:
        assert await altered(running) == []
