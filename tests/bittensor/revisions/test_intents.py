"""A database that the version before the intents left behind: its open extrinsics are followed, its answers stay."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, event, select, text
from sqlalchemy.engine import URL, Engine

from strongroom.bittensor import tables
from strongroom.bittensor.definition import REVISIONS
from strongroom.bittensor.extrinsics.nonces import newest_final, slot_of
from strongroom.bittensor.extrinsics.store import load_many
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.core.intents.intent import Intent, Outcome
from strongroom.core.intents.store import list_intents
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.storage.migrations import migrate
from support.bittensor.live_node import LiveNode, live_node, new_node
from support.bittensor.weighing import Hurried, body, pooled, reaches, settled
from support.bittensor_service import HOT, BittensorService, database_variables, running_bittensor
from support.clock import ManualClock
from support.mariadb import MariaDB
from support.old_database import inserts, write_old_database
from support.trail import verify
from support.waiting import until_true

FOLDER = Path(__file__).parents[2] / "vectors" / "bittensor" / "old_database"
HEADS = {"core": "core_0004", "bittensor": "bittensor_0003"}
MakeDatabase = Callable[..., Awaitable[Database]]
OLD = "strongroom_bittensor_extrinsic"
HOTKEYS = [HOT.public_key, *(Keypair.from_uri(f"//Many//{number}").public_key for number in range(1, 8))]
CHANGING = ("CREATE", "ALTER", "INSERT", "UPDATE", "DELETE", "REPLACE", "DROP")
OPEN = {"signed", "pooled", "in_block"}


class Later(Hurried):
    """After all that is stored, whenever the test runs."""

    def __init__(self, newest_ms: int) -> None:
        super().__init__()
        self._start_ms = max(self._start_ms, newest_ms + 3_600_000)
        self._began_s = self.monotonic_s()

    def now_ms(self) -> int:
        return self._start_ms + round((self.monotonic_s() - self._began_s) * 1000)


@pytest.fixture
def written() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FOLDER / "network.json").read_text())
    return document


@pytest.fixture(params=["sqlite", "mariadb"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], URL]:
    """Makes empty databases; the first SQLite file is where the service looks for it."""
    names = (f"bittensor{number or ''}.sqlite3" for number in count())

    def new() -> URL:
        if request.param == "sqlite":
            return sqlite_url(str(tmp_path / next(names)))
        server: MariaDB = request.getfixturevalue("mariadb")
        return server.new_database()

    return new


@pytest.fixture
async def old_database(new_url: Callable[[], URL]) -> AsyncIterator[MakeDatabase]:
    made: list[Database] = []

    async def write(core: str = "core_0004") -> Database:
        database = Database(new_url())
        made.append(database)
        await write_old_database(database, REVISIONS, HEADS | {"core": core}, FOLDER / "dump.sql")
        return database

    yield write
    for database in made:
        await database.close()


@pytest.fixture
async def old(old_database: MakeDatabase) -> Database:
    return await old_database()


@pytest.fixture
async def node(written: dict[str, Any]) -> AsyncIterator[LiveNode]:
    """The chain of then, block by block, without its pool."""
    first, second, *others = written["blocks"]
    live = LiveNode(new_node(293, HOTKEYS, clock=ManualClock(first["atMs"])))
    live.node.clock = ManualClock(second["atMs"])
    live.change(WeightsSetRateLimit=0)
    for block in others:
        live.node.clock = ManualClock(block["atMs"])
        for raw in block["extrinsics"]:
            live.node.submit(bytes.fromhex(raw))
        live.node.production.finality_stalled = live.node.chain.head.number >= written["final"]
        live.produce()
    assert live.node.chain.head.hash.hex() == others[-1]["hash"]
    assert live.node.chain.finalized == written["final"]
    live.node.production.finality_stalled = False
    async with live_node(live.node) as opened:
        yield opened


@asynccontextmanager
async def service_on(
    url: URL, folder: Path, node: LiveNode, newest_ms: int
) -> AsyncIterator[BittensorService]:
    variables = database_variables(url, folder) | {"chain_endpoint": node.url}
    async with running_bittensor(variables, clock=Later(newest_ms)) as service:
        yield service


async def old_rows(database: Database) -> dict[bytes, Row[Any]]:
    query = select("*").select_from(text(OLD))
    return {row.hash: row for row in await database.fetch_all(query)}


async def intents(database: Database) -> dict[bytes, Intent]:
    found = await database.read(lambda connection: list_intents(connection, limit=1000))
    return {one.id: one for one in found}


async def everything(database: Database) -> list[Any]:
    receipts = await database.fetch_all(select(tables.receipt).order_by(tables.receipt.c.id))
    accounts = await database.fetch_all(select(tables.account).order_by(tables.account.c.public_key))
    return [await intents(database), receipts, accounts]


async def test_every_extrinsic_becomes_an_intent_with_its_receipt(old: Database) -> None:
    before = await old_rows(old)
    assert {row.state for row in before.values()} == {*OPEN, "final", "refused", "withdrawn", "expired"}
    await migrate(old, [REVISIONS])
    after = await intents(old)
    extrinsics = await old.read(lambda connection: load_many(connection, list(before)))
    assert len(extrinsics) == len(before) == len(after)
    for one in extrinsics:
        row, intent = before[one.hash], after[one.hash]
        assert (intent.payload, intent.kind, intent.attempts) == (row.bytes, row.call_name, row.attempts)
        assert intent.slot == (None if row.live_nonce is None else slot_of(row.public_key, row.live_nonce))
        assert intent.is_open is (row.state in OPEN)
        assert (intent.outcome is Outcome.ACCEPTED) is (row.state == "final")
        assert intent.principal == ("" if row.state == "withdrawn" else "service-token")
        assert (one.job, one.nonce, one.state) == (row.job, row.nonce, row.state)
        assert (one.public_key, one.spec_version) == (row.public_key, row.spec_version)
        assert (one.first_block, one.last_block) == (row.first_block, row.last_block)
        assert (one.inclusion.number if one.inclusion else None) == row.block_number
        assert (one.inclusion.success if one.inclusion else None) == row.success
        assert (one.failure is not None) is (row.failure is not None)
    reasons = {intent.stage: intent.reason for intent in after.values() if intent.reason}
    assert reasons["refused"] == "RateLimitExceeded: Too soon after an earlier call of this kind"
    newest = max((row for row in before.values() if row.state == "final"), key=lambda row: row.block_number)
    assert await old.read(newest_final) == (newest.block_number, newest.block_hash)


class Killed(Exception):
    """The process is gone."""


async def migrate_until(database: Database, statement: int) -> bool:
    """Migrates, and dies before the statement with this number that changes something. False: there are not so many."""
    seen = count(1)

    def before(_connection: Any, _cursor: Any, text: str, *_more: Any) -> None:
        if text.lstrip().upper().startswith(CHANGING) and next(seen) == statement:
            raise Killed

    event.listen(Engine, "before_cursor_execute", before)
    try:
        await migrate(database, [REVISIONS])
    except Killed:
        return True
    finally:
        event.remove(Engine, "before_cursor_execute", before)
    return False


async def test_a_migration_that_is_killed_before_any_statement_ends_when_it_runs_again(
    old_database: MakeDatabase,
) -> None:
    """MySQL keeps what it has done until then. The core's own migrations are killed in tests/core/storage/test_resume.py."""
    undisturbed = await old_database("core_0005")
    await migrate(undisturbed, [REVISIONS])
    wanted = await everything(undisturbed)
    for statement in count(1):
        database = await old_database("core_0005")
        await migrate(database, [])
        was_killed = await migrate_until(database, statement)
        await migrate(database, [REVISIONS])
        assert await everything(database) == wanted, statement
        await database.close()  # a server has no room for the connections of all of them
        if not was_killed:
            break
    assert statement > 7


async def until_free(service: BittensorService, headers: dict[str, str]) -> None:
    """Sets weights of the validator as soon as the account may sign."""

    async def is_free() -> bool:
        answer = await service.client.post("/wallet/set_weights", json=body(), headers=headers)
        return answer.status_code == 200

    await until_true(is_free)


async def test_open_extrinsics_are_followed_and_what_was_answered_stays_answered(
    old: Database, tmp_path: Path, node: LiveNode, written: dict[str, Any]
) -> None:
    kek = tmp_path / "bittensor.kek"
    kek.write_text(written["key"])
    kek.chmod(0o600)
    newest_ms = max(row.created_at_ms for row in (await old_rows(old)).values())
    async with service_on(old.url, tmp_path, node, newest_ms) as service:
        for key, state in (("final", "final"), ("refused", "refused"), ("expired", "expired")):
            found = (await service.client.get(f"/wallet/jobs/{key}")).json()
            assert (found["status"], found["result"]["success"]) == (state, state == "final")
        assert (await service.client.get("/wallet/jobs/withdrawn")).status_code == 404
        await pooled(node, 3)
        node.produce()
        for key in ("in block", "pooled", "signed", "background"):
            assert (await reaches(service, key, "final"))["result"]["success"] is True, key
        again = await service.client.post(
            "/wallet/set_weights",
            json=body() | {"wallet_name": "many", "hotkey_name": "h6"},
            headers={"Idempotency-Key": "signed"},
        )
        assert again.json()["job_id"] == (await settled(service, "signed"))["job_id"]
        # What was signed for an SDK keeps its account, and is nobody else's to submit, until its era is over.
        ask = {"Idempotency-Key": "after the lent one"}
        busy = await service.client.post("/wallet/set_weights", json=body(), headers=ask)
        assert (busy.status_code, busy.json()["code"]) in {(409, "weights_in_flight"), (503, "account_busy")}
        node.produce(64)
        await until_free(service, ask)
        assert [entry.extrinsic.nonce for entry in node.node.pool.waiting.values()] == [1]
        assert await verify(service.ledger.database, service.ledger.trail_key) > 0


def test_the_dump_is_read_whole() -> None:
    found = [table for table, _ in inserts(FOLDER / "dump.sql")]
    assert found.count(OLD) == 10
    assert len(found) == (FOLDER / "dump.sql").read_text().count("INSERT INTO")
