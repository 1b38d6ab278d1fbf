"""Every query of the sync uses an index: shown by the databases' own plans, on tables with rows in them."""

import re
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection

from strongroom.core.clock import SystemClock
from strongroom.core.storage import statements as statements_module
from strongroom.core.storage.database import Database
from strongroom.hathor.maintenance.verifier import Verifier
from strongroom.hathor.protocol.addresses import MAINNET
from strongroom.hathor.protocol.events import RawEvent, read_event
from strongroom.hathor.sync.batch import Rules
from strongroom.hathor.wallets.loading import load_wallet
from strongroom_sandbox.hathor.generate import START_S, Generator, Plan
from support.clock import ManualClock
from support.hathor.streams import apply, prepare
from support.hathor.wallets import WALLET, favourites, insert_wallet
from support.mariadb import mysql_program

RULES = Rules(network=MAINNET, reward_spend_min_blocks=10)
SMALL = {"wallet", "sync_metadata", "strongroom_hathor_source", "strongroom_lease", "token"}
"""Tables that hold a few rows, or are read whole on purpose (verify goes through all wallets and tokens)."""
STATEMENTS = re.compile(r"^(SELECT|UPDATE|DELETE)")


@pytest.fixture
async def statements(database: Database, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Every distinct statement that a sync, a load and a verify execute, with its parameters."""
    await prepare(database)
    seen: dict[str, Any] = {}
    for owner, name in ((Connection, "exec_driver_sql"), (statements_module, "run_on_driver")):
        _record(seen, monkeypatch, owner, name)
    journal = Generator(3, Plan(favourites=favourites(range(60)))).run(1_500)
    events = [read_event(msgspec.json.decode(line, type=RawEvent)) for line in journal.events]
    await apply(database, events[:1_000], window=300, now_s=START_S, rules=RULES)
    await database.write(insert_wallet)
    await load_wallet(database, SystemClock(), MAINNET, WALLET)
    await apply(database, events[1_000:], window=20, now_s=START_S + 2_000, rules=RULES)
    clock = ManualClock((START_S + 2_000) * 1000)
    await Verifier(database=database, clock=clock, rules=RULES).run()
    monkeypatch.undo()
    assert len(seen) > 40
    return seen


def _record(seen: dict[str, Any], monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> None:
    execute = getattr(owner, name)

    def record(connection: Connection, statement: str, parameters: Any = None, **more: Any) -> Any:
        one = parameters[0] if isinstance(parameters, list) and parameters else parameters
        if STATEMENTS.match(statement):
            seen.setdefault(re.sub(r"(,?(\?|%s|\((\?|%s),(\?|%s)\)))+", "..", statement), (statement, one))
        return execute(connection, statement, parameters, **more)

    monkeypatch.setattr(owner, name, record)


async def test_every_query_has_an_index(database: Database, statements: dict[str, Any]) -> None:
    scans: dict[str, str] = {}
    for statement, parameters in statements.values():
        plan = await database.read(lambda c, s=statement, p=parameters: _plan(c, s, p))  # type: ignore[misc] # bound at once
        for table in plan:
            if table not in SMALL:
                scans[statement[:150]] = table
    assert scans == {}


def _plan(connection: Connection, statement: str, parameters: Any) -> list[str]:
    """The tables that the statement would read from end to end."""
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters).fetchall()
        scans = [re.match(r"SCAN (\w+)(.*)", row[3]) for row in rows]
        return [
            found[1] for found in scans if found and "INDEX" not in found[2] and "CONSTANT" not in found[2]
        ]
    if mysql_program() is None:
        connection.exec_driver_sql("SET SESSION optimizer_use_condition_selectivity = 1")
    plan = (
        connection.exec_driver_sql("EXPLAIN FORMAT=TRADITIONAL " + statement, parameters)
        .mappings()
        .fetchall()
    )
    return [str(row["table"]) for row in plan if row["possible_keys"] is None and row["type"] == "ALL"]
