"""The recorded streams end in the tables that the original daemon wrote."""

import json
from functools import partial

import pytest
from sqlalchemy import Connection

from strongroom.core.storage.database import Database
from strongroom.hathor.sync.batch import apply_batch
from strongroom.hathor.sync.source import Pins
from strongroom_sandbox.hathor.replay import recorded_journal
from support.hathor.running import Following, following, replaying, serving_node, synced
from support.hathor.streams import (
    NOW_S,
    OUTBOX,
    RULES,
    SCENARIOS,
    VECTORS,
    apply,
    our_table,
    prepare,
    recorded_table,
    scenario,
)

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
    await check(database, name)


@pytest.mark.parametrize("window", [1, 100])
@pytest.mark.parametrize("name", SCENARIOS)
async def test_over_the_wire(database: Database, name: str, window: int) -> None:
    await prepare(database)
    journal = recorded_journal(VECTORS / "events" / f"{name}.json")
    async with serving_node(replaying(journal, reward_spend_min_blocks=300)) as url:
        follower = Following(database, url, pins=Pins(network="unittests"), window=window)
        async with following(follower):
            await synced(database, journal.latest_id)
    await check(database, name)


class Death(BaseException):
    pass


@pytest.mark.parametrize("name", SCENARIOS)
async def test_death_at_every_event(database: Database, replica: Database, name: str) -> None:
    """Before each event, two processes die: one in the transaction of a batch, one after it but before it could say so."""
    await prepare(database)
    events = scenario(name)

    def die(connection: Connection, start: int, window: int) -> None:
        apply_batch(connection, events[start : start + window], RULES, OUTBOX, NOW_S)
        raise Death

    for position in range(len(events)):
        for window in (1, 4, 100, 1000):
            with pytest.raises(Death):
                await database.write(partial(die, start=position, window=window))
        await apply(replica, events[: position + 1], window=1000)
    await check(database, name)


async def check(database: Database, name: str) -> None:
    for table, columns in TABLES.items():
        ours = await database.read(partial(our_table, table=table, columns=columns))
        if (VECTORS / "tables" / name / f"{table}.tsv").stat().st_size:
            assert ours == recorded_table(name, table, columns), table
    last = json.loads((VECTORS / "events" / f"{name}.json").read_text())[-1]["event"]["id"]
    stored = await database.read(lambda c: our_table(c, "sync_metadata", ("last_event_id",)))
    assert stored == [(str(last),)]
