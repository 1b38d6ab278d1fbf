"""Checkpoints over lanes that grow in parallel: every row is in one, once, whatever commits first."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select
from sqlalchemy.engine import URL

from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.trail.lanes import Lanes
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.transparency import making
from strongroom.core.transparency.checker import check_receipt
from support.clock import ManualClock
from support.schema import Schemas
from support.trails import Trail

pytestmark = pytest.mark.anyio
ANN = Principal(name="token:ann", scopes=frozenset())
PATIENCE_S = 60.0


class OneLane(Lanes):
    """Appends where the test says."""

    lane = 0

    def of(self, connection: Connection) -> int:
        del connection
        return self.lane


@contextmanager
def begun(url: URL, clock: ManualClock, trail: Trail, lane: int, subject: str) -> Iterator[threading.Event]:
    """A transaction of another process that has appended a row and commits when the event is set."""
    has_begun, may_end, lanes = threading.Event(), threading.Event(), OneLane()
    lanes.lane = lane
    audit = Audit(clock, trail.key, lanes)

    def work(connection: Connection) -> None:
        audit.append(connection, ANN, "freeze", subject)
        has_begun.set()
        assert may_end.wait(PATIENCE_S)

    async def run() -> None:
        database = Database(url)
        await database.write(work, answer_s=None)
        await database.close()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert has_begun.wait(PATIENCE_S)
        yield may_end
    finally:
        may_end.set()
        thread.join(PATIENCE_S)


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
async def test_a_row_with_a_smaller_number_that_commits_later_is_in_the_next_one(
    database: Database, clock: ManualClock
) -> None:
    trail = Trail(database=database, clock=clock)
    await trail.record("first")
    with begun(database.url, clock, trail, 200, "late"):
        await trail.record("early")
        (before,) = await trail.checkpoints.make()
    (after,) = await trail.checkpoints.make()
    assert (after.rows - before.rows, after.batch_rows) == (1, 1)
    columns = tables.audit.c
    rows = await database.fetch_all(select(columns.subject).order_by(columns.sequence))
    order = [row.subject for row in rows]
    assert order.index("late") < order.index("early"), "the database numbered it before"
    assert (await trail.verify(before, after)).findings == []


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lanes=st.lists(st.sampled_from([0, 1, 17, 255]), min_size=1, max_size=12),
    every=st.integers(1, 5),
    most=st.integers(1, 4),
)
async def test_each_row_of_each_lane_is_proven_once(
    tmp_path_factory: pytest.TempPathFactory,
    schemas: Schemas,
    lanes: list[int],
    every: int,
    most: int,
) -> None:
    clock = ManualClock()
    url = schemas.fill(sqlite_url(str(tmp_path_factory.mktemp("lanes") / "test.sqlite3")), ())
    database = Database(url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "MAX_BATCH", most)
        trail, chosen = Trail(database=database, clock=clock), OneLane()
        trail.audit = Audit(clock, trail.key, chosen)
        for number, lane in enumerate(lanes):
            chosen.lane = lane
            await trail.pay(number, account=f"account {lane}")
            if number % every == 0:
                await trail.checkpoints.make()
        await trail.checkpoints.make()
        report = await trail.verify()
        assert report.findings == []
        assert report.last is not None
        assert report.last.rows == len(lanes)
        seen = set()
        for number, lane in enumerate(lanes):
            payment = number.to_bytes(32, "big")
            found = check_receipt(await trail.proofs.receipt(payment), trail.checkpoints.public_key, payment)
            assert found["lane"] == lane
            seen.add((found["lane"], found["number"]))
        assert len(seen) == len(lanes)
    await database.close()
