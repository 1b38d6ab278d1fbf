"""The process dies before and after every single write of a transaction that people must approve: it is broadcast, alone and for one approval."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.engine import URL

from strongroom.core.errors import StrongroomError
from strongroom.core.guard.administration import GuardAdministration
from strongroom.core.guard.approvals.approval import ApprovalState
from strongroom.core.intents import tables as intents
from strongroom.core.security.access import OPERATOR, Principal
from strongroom.core.security.audit import Audit
from strongroom.core.storage.database import sqlite_url
from strongroom.hathor.proposals.broadcast_policy import VOCABULARY
from strongroom.hathor.proposals.sweeper import LIFE_S
from support.clock import ManualClock, SeededEntropy
from support.dying_database import CrashPoint, Died, DyingDatabase
from support.hathor.api import recorded_rows, serving_api
from support.hathor.proposals import Client, payment
from support.trail import open_trail, verify
from support.waiting import PATIENCE_S

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
ANN = Principal(name="token:ann", scopes=frozenset({"hathor:approve"}))
RULE = {"effect": "approve", "approvals": {"needed": 1}}
PAID = payment(1)


@asynccontextmanager
async def living(url: URL, clock: ManualClock, *, is_first: bool) -> AsyncIterator[Client]:
    """One life of the service."""
    database = DyingDatabase(url)
    try:
        async with serving_api(database, clock, rows=recorded_rows() if is_first else None) as api:
            client = Client(api)
            if is_first:
                await client.announce()
                rules = GuardAdministration(
                    database,
                    Audit(clock, open_trail()),
                    clock,
                    SeededEntropy(),
                    vocabulary=VOCABULARY,
                    loosening_delay_ms=0,
                )
                await rules.add(OPERATOR, "all", json.dumps(RULE))
            database.names.clear()
            yield client
    finally:
        await database.close()


def writes(client: Client) -> DyingDatabase:
    database = client.api.database
    assert isinstance(database, DyingDatabase)
    return database


async def through(client: Client, proposed: list[str]) -> None:
    """A wallet proposes, sends, and hears that it waits; people approve; the service broadcasts it."""
    async with asyncio.timeout(PATIENCE_S):
        if not proposed:
            proposed.append(await client.propose(PAID))
        while (answer := await client.send(proposed[0], PAID))[0] != 200:
            if writes(client).dead:
                raise Died
            if "approvalId" in answer[1]:
                with contextlib.suppress(StrongroomError):  # it is approved already
                    await client.api.approvals.approve(ANN, answer[1]["approvalId"])
                await client.api.carrying_out.advance()


async def until_death(client: Client, proposed: list[str]) -> None:
    try:
        await through(client, proposed)
    except* (Died, AssertionError):
        pass  # it has died; the proposal may have no answer


async def test_an_approved_transaction_is_broadcast_wherever_the_process_dies(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    async with living(sqlite_url(str(tmp_path / "whole.sqlite3")), clock, is_first=True) as client:
        await through(client, [])
        names = dict.fromkeys(writes(client).names)
    found = [CrashPoint(name=name, committed=committed) for name in names for committed in (False, True)]
    assert any("_park" in name for name in names), names
    for number, point in enumerate(found):
        url, clock, proposed = sqlite_url(str(tmp_path / f"{number}.sqlite3")), ManualClock(), list[str]()
        pushed: set[bytes] = set()
        async with living(url, clock, is_first=True) as client:
            writes(client).arm(point)
            await until_death(client, proposed)
            assert writes(client).dead, str(point)
            pushed |= set(client.node.pushed)
        async with living(url, clock, is_first=False) as client:
            if not proposed:  # its answer was lost, and the outputs are free again after a while
                clock.advance(LIFE_S + 1)
                await client.sweep().sweep()
            await through(client, proposed)
            pushed |= set(client.node.pushed)
            approvals = await client.api.approvals.list(list(ApprovalState))
            rows = await client.api.database.fetch_all(select(intents.intent.c.id))
            await verify(client.api.database)
        assert pushed == {PAID.encode()}, str(point)
        assert [bytes(row.id).hex() for row in rows] == [PAID.id], str(point)
        assert [each.state for each in approvals] == [ApprovalState.SPENT], str(point)
