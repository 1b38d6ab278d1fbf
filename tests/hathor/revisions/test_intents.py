"""A database that the version before the intents left behind: what it was sending is followed to its end."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from strongroom.core.intents.intent import Intent, Outcome
from strongroom.core.intents.store import load_open
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.storage.migrations import migrate
from strongroom.hathor.definition import REVISIONS
from strongroom.hathor.proposals.broadcaster import (
    NEVER_ARRIVED,
    PACE,
    Broadcaster,
    ProposalEffects,
    TransactionNetwork,
)
from strongroom.hathor.proposals.store import begin_broadcast
from strongroom.hathor.protocol.transactions import parse_transaction
from support.clock import ManualClock, SeededEntropy
from support.hathor.proposals import admit_any
from support.hathor.push_node import ScriptedNode
from support.mariadb import MariaDB
from support.old_database import write_old_database
from support.sql import execute

pytestmark = pytest.mark.anyio

DUMP = Path(__file__).parents[2] / "vectors" / "hathor" / "old_database" / "dump.sql"
HEADS = {"core": "core_0004", "hathor": "hathor_0006"}
SENT, FAILED, OPEN = (
    "ac4a98ee-cbde-48fe-b163-46d1b2944c79",
    "32748eea-a0ed-4180-9f80-9e463535b0a6",
    "9a7d3c34-3741-41bf-ba92-96c4f5711cfc",
)


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """Empty on each engine."""
    if request.param == "sqlite":
        return sqlite_url(str(tmp_path / "old.sqlite3"))
    server: MariaDB = request.getfixturevalue("mariadb")
    return server.new_database()


@pytest.fixture
async def database(database_url: URL) -> AsyncIterator[Database]:
    database = Database(database_url)
    await write_old_database(database, REVISIONS, HEADS, DUMP)
    await migrate(database, [REVISIONS])
    yield database
    await database.close()


@pytest.fixture
async def background() -> AsyncIterator[Background]:
    running = Background()
    yield running
    await running.close()


@pytest.fixture
def node() -> ScriptedNode:
    return ScriptedNode()


@pytest.fixture
def broadcaster(
    database: Database, clock: ManualClock, background: Background, node: ScriptedNode
) -> Broadcaster:
    return Broadcaster(
        network=TransactionNetwork(node, clock),
        effects=ProposalEffects(clock, Metrics("test")),
        database=database,
        clock=clock,
        entropy=SeededEntropy(),
        background=background,
        pace=PACE,
    )


async def the_open_one(database: Database) -> Intent:
    (intent,) = await database.read(load_open)
    return intent


async def status(database: Database, proposal_id: str) -> str:
    sql = "SELECT status FROM tx_proposal WHERE id = {}"
    rows = await database.read(lambda connection: execute(connection, sql, proposal_id))
    found: str = rows[0][0]
    return found


def signed_bytes(connection: Connection, proposal_id: str) -> bytes:
    sql = "SELECT signed FROM strongroom_hathor_proposal WHERE id = {}"
    found: bytes = execute(connection, sql, proposal_id)[0][0]
    return found


async def test_what_was_being_sent_is_an_open_intent(database: Database) -> None:
    intent = await the_open_one(database)
    raw = await database.read(partial(signed_bytes, proposal_id=OPEN))
    assert intent.payload == raw
    assert intent.id.hex() == parse_transaction(raw).id
    assert (intent.slot, intent.notes, intent.attempts) == (OPEN.encode(), {"proposal": OPEN}, 1)
    assert await status(database, OPEN) == "open"


async def test_it_is_sent_to_its_end(
    database: Database, clock: ManualClock, broadcaster: Broadcaster, node: ScriptedNode
) -> None:
    intent = await the_open_one(database)
    clock.advance(20)
    await broadcaster.sweep()
    resolution = await broadcaster.wait(intent.id)
    assert resolution is not None
    assert resolution.intent.outcome is Outcome.ACCEPTED
    assert node.pushed == [intent.payload]
    assert node.asked, "the node is asked before anything is pushed again"
    assert await status(database, OPEN) == "sent"


async def test_one_that_is_too_old_is_only_asked_about(
    database: Database, clock: ManualClock, broadcaster: Broadcaster, node: ScriptedNode
) -> None:
    intent = await the_open_one(database)
    clock.advance(3_600)
    task = broadcaster.resolve(intent)
    for _ in range(3):
        await clock.sleepers()
        clock.advance(PACE.pending_pause_s)
    assert (await task).intent.reason == NEVER_ARRIVED
    assert node.pushed == []
    assert await status(database, OPEN) == "send_error"


async def test_what_ended_is_answered_as_before(database: Database, clock: ManualClock) -> None:
    def again(connection: Connection, proposal_id: str) -> Intent | None:
        raw = signed_bytes(connection, proposal_id)
        return begin_broadcast(
            connection,
            proposal_id,
            None,
            raw=raw,
            tx_id=parse_transaction(raw).id,
            now_ms=clock.now_ms(),
            admit=admit_any,
        )

    assert await database.write(partial(again, proposal_id=SENT)) is None, "these bytes went out already"
    failed = await database.write(partial(again, proposal_id=FAILED))
    assert failed is not None
    assert failed.is_new
    joined = await database.write(partial(again, proposal_id=OPEN))
    assert joined is not None
    assert not joined.is_new
