"""The recorded streams end in the tables that the original daemon wrote."""

import json
from functools import partial

import pytest

from strongroom.core.database import Database
from support.hathor.streams import SCENARIOS, VECTORS, apply, our_table, prepare, recorded_table, scenario

TABLES = {
    "address": ("address", "transactions", "seqnum"),
    "address_balance": (
        "address",
        "token_id",
        "unlocked_balance",
        "locked_balance",
        "unlocked_authorities",
        "locked_authorities",
        "timelock_expires",
        "transactions",
        "total_received",
    ),
    "address_tx_history": ("address", "tx_id", "token_id", "balance", "timestamp", "voided"),
    "transaction": ("tx_id", "timestamp", "version", "voided", "height", "weight", "first_block"),
    "tx_output": (
        "tx_id",
        "index",
        "token_id",
        "address",
        "value",
        "authorities",
        "timelock",
        "heightlock",
        "locked",
        "tx_proposal",
        "tx_proposal_index",
        "spent_by",
        "voided",
    ),
    "token": ("id", "name", "symbol", "version"),
    "token_creation": ("token_id", "tx_id", "first_block"),
}


@pytest.mark.parametrize("window", [1, 4, 100, 1000])
@pytest.mark.parametrize("name", SCENARIOS)
async def test_tables_equal_the_originals(database: Database, name: str, window: int) -> None:
    await prepare(database)
    await apply(database, scenario(name), window=window)
    for table, columns in TABLES.items():
        ours = await database.read(partial(our_table, table=table, columns=columns))
        if (VECTORS / "tables" / name / f"{table}.tsv").stat().st_size:
            assert ours == recorded_table(name, table, columns), table
    last = json.loads((VECTORS / "events" / f"{name}.json").read_text())[-1]["event"]["id"]
    stored = await database.read(lambda c: our_table(c, "sync_metadata", ("last_event_id",)))
    assert stored == [(str(last),)]
