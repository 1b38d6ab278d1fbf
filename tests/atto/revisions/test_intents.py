"""A database that the version before the intents left behind: its open blocks are resolved, its answers stay."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import URL

from strongroom.atto.definition import REVISIONS
from strongroom.atto.protocol import Transaction
from strongroom.core.intents.store import list_intents
from strongroom.core.storage.database import Database, sqlite_url
from support.atto_network import AttoNetwork, running_network
from support.atto_service import (
    ATTO,
    NOBODY,
    SQLITE_NAME,
    database_variables,
    entry,
    running_service,
)
from support.mariadb import MariaDB
from support.old_database import inserts, write_old_database

pytestmark = pytest.mark.anyio

FOLDER = Path(__file__).parents[2] / "vectors" / "atto" / "old_database"
HEADS = {"core": "core_0004", "atto": "atto_0003"}
OPEN = {"SEND": "BE7DCD2C", "RECEIVE": "8171364B", "OPEN": "F84693A7"}
PAID = "5012DE266EBE760626D34B507C1FD89239576E02E0A5FCA50EAA12C56E27887F"
REFUSED = "4D4B29A4AB66A5DDFBA3FAB8A098DDD339614CF0FEB318D7189F63A121B2C77F"
LOST = "89E205CB36D13F3D243DAF49E0BFF609C87EC3B5E36AB5C53AB7A1541A6FA372"
Elsewhere = Callable[[str], list[list[str]]]


@pytest.fixture
def written() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FOLDER / "network.json").read_text())
    return document


@pytest.fixture(params=["sqlite", "mariadb"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """Empty on each engine, where the service looks for it."""
    if request.param == "sqlite":
        return sqlite_url(str(tmp_path / SQLITE_NAME))
    server: MariaDB = request.getfixturevalue("mariadb")
    return server.new_database()


@pytest.fixture
async def old(database_url: URL) -> None:
    database = Database(database_url)
    await write_old_database(database, REVISIONS, HEADS, FOLDER / "dump.sql")
    await database.close()


async def stored(url: URL) -> dict[str, tuple[str, str, str | None, bytes | None, dict[str, Any]]]:
    database = Database(url)
    intents = await database.read(lambda connection: list_intents(connection, limit=1000))
    await database.close()
    return {
        one.id.hex().upper(): (one.kind, one.outcome.value, one.stage, one.slot, one.notes) for one in intents
    }


@pytest.mark.usefixtures("old")
async def test_every_block_becomes_an_intent(
    network: AttoNetwork, database_url: URL, tmp_path: Path, written: dict[str, Any], elsewhere: Elsewhere
) -> None:
    key_in(tmp_path, database_url, written)
    before = {
        row[0]: row
        for row in elsewhere("SELECT hex(hash), state, hex(slot), hex(sender) FROM strongroom_atto_block")
    }
    network.faults.drop_request = 10**6  # nothing is found out meanwhile
    async with running_service(network, database_variables(database_url, tmp_path)):
        pass
    network.heal()
    found = await stored(database_url)
    assert set(found) == set(before)
    assert {
        row[0]: {"SIGNED": "OPEN", "CONFIRMED": "ACCEPTED"}.get(row[1], row[1]) for row in before.values()
    } == {name: one[1] for name, one in found.items()}
    for name, (kind, outcome, stage, slot, notes) in found.items():
        _, state, old_slot, old_sender = before[name]
        assert (slot or b"").hex().upper() == old_slot.replace("NULL", "").replace("None", "")
        assert notes.get("sender", "") == old_sender.replace("NULL", "").replace("None", "")
        assert kind in {"OPEN", "RECEIVE"} if notes else kind in {"SEND", "CHANGE"}
        assert stage == state or outcome == "REJECTED"
    assert (found[REFUSED][2], found[LOST][2]) == ("RULE", "SLOT_TAKEN")
    assert {kind: name[:8] for name, (kind, outcome, *_) in found.items() if outcome == "OPEN"} == OPEN


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("killed_half_way", [False, True])
async def test_blocks_that_an_earlier_version_rejected_get_their_cause(
    network: AttoNetwork,
    database_url: URL,
    tmp_path: Path,
    written: dict[str, Any],
    elsewhere: Elsewhere,
    killed_half_way: bool,
) -> None:
    """On MySQL a migration that was killed has its column already, and no causes in it."""
    key_in(tmp_path, database_url, written)
    if killed_half_way:
        elsewhere("UPDATE strongroom_atto_block SET cause = NULL")
    else:
        elsewhere("ALTER TABLE strongroom_atto_block DROP COLUMN cause")
    gone = "The node rejected the transaction: RECEIVABLE_NOT_FOUND"
    elsewhere(f"UPDATE strongroom_atto_block SET reason = '{gone}' WHERE hex(hash) = '{REFUSED}'")  # noqa: S608 - our own constants
    elsewhere("UPDATE strongroom_version_atto SET version_num = 'atto_0001'")
    network.faults.drop_request = 10**6
    async with running_service(network, database_variables(database_url, tmp_path)):
        pass
    network.heal()
    found = await stored(database_url)
    causes = (found[REFUSED][2], found[LOST][2], found[PAID][2])
    assert causes == ("RECEIVABLE_NOT_FOUND", "SLOT_TAKEN", "CONFIRMED")


async def test_a_migration_that_was_killed_between_any_two_statements_ends_when_it_runs_again(
    network: AttoNetwork, database_url: URL, tmp_path: Path, written: dict[str, Any], elsewhere: Elsewhere
) -> None:
    """MySQL keeps what it has done: some blocks moved, then all of them and the old table dropped."""
    database = Database(database_url)
    await write_old_database(database, REVISIONS, {**HEADS, "core": "core_0005"}, FOLDER / "dump.sql")
    await database.close()
    key_in(tmp_path, database_url, written)
    elsewhere(
        "INSERT INTO strongroom_intent (id, account, slot, kind, payload, principal, request, stage, outcome, attempts,"  # noqa: S608 - our own constant
        " created_at_ms) SELECT hash, address, slot, 'SEND', `transaction`, '', '{}', 'RULE', 'REJECTED', 1, created_at_ms"
        f" FROM strongroom_atto_block WHERE hex(hash) = '{REFUSED}'"
    )
    network.faults.drop_request = 10**6  # nothing is found out meanwhile
    moved = []
    for _ in range(2):
        async with running_service(network, database_variables(database_url, tmp_path)):
            pass
        moved.append(await stored(database_url))
        elsewhere("UPDATE strongroom_version_atto SET version_num = 'atto_0003'")
    network.heal()
    assert len(moved[0]) == 10
    assert moved[1] == moved[0]


@pytest.mark.usefixtures("old")
async def test_open_blocks_are_resolved_and_what_was_answered_stays_answered(
    database_url: URL, tmp_path: Path, written: dict[str, Any]
) -> None:
    key_in(tmp_path, database_url, written)
    transactions = [Transaction.from_bytes(bytes.fromhex(one)) for one in written["transactions"]]
    first, second, third = written["accounts"]
    async with running_network() as network:
        newest_ms = max(one.block.timestamp for one in transactions)
        network.clock.ahead_ms = max(0, newest_ms + 60_000 - network.clock.now_ms())
        for one in transactions:
            network.sandbox.node.ledger.confirm(one)
        async with running_service(network, database_variables(database_url, tmp_path)) as service:
            await service.until_balance(first, 45 * ATTO - 4 * ATTO + 10**9 - 7)
            await service.until_balance(second, 28 * ATTO)
            await service.until_balance(third, 9 * ATTO)
            paid = await service.send(first, NOBODY, ATTO, key="paid")
            assert entry(paid)["hash"] == PAID
            state = network.state(first)
            assert state is not None
            resumed = entry(await service.send(first, NOBODY, 4 * ATTO, key="open"))
            assert resumed["hash"][:8] == OPEN["SEND"]
            assert network.state(first) == state, "no key pays twice"
            refused = await service.get(f"/wallets/accounts/transactions/{REFUSED}")
            assert (refused["state"], refused["reason"]) == (
                "REJECTED",
                "The node rejected the transaction: INVALID_AMOUNT",
            )
            assert entry(await service.send(third, NOBODY, 1))["height"] == 2
            assert await service.verify_audit() > 0


def test_the_dump_is_read_whole() -> None:
    tables = [table for table, _ in inserts(FOLDER / "dump.sql")]
    assert tables.count("strongroom_atto_block") == 10
    assert len(tables) == (FOLDER / "dump.sql").read_text().count("INSERT INTO")


def key_in(folder: Path, url: URL, written: dict[str, Any]) -> None:
    where = Path(str(url.database)).parent if url.get_backend_name() == "sqlite" else folder
    key = where / SQLITE_NAME.replace(".sqlite3", ".kek")
    key.write_text(written["key"])
    key.chmod(0o600)
