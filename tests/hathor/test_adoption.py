"""A database of the original is taken over in place: its rows stay, and the sync goes on from them."""

import json

import pytest
from sqlalchemy import Connection

from strongroom.core.runtime.background import Background
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.storage.database import Database
from strongroom.hathor.maintenance.verifier import Verifier
from strongroom.hathor.proposals.broadcaster import PACE, Broadcaster, ProposalEffects, TransactionNetwork
from strongroom.hathor.proposals.sweeper import LIFE_S, ProposalSweep
from strongroom.hathor.protocol.addresses import MAINNET
from strongroom.hathor.sync.batch import Rules
from support.clock import ManualClock, SeededEntropy
from support.hathor.original import fill
from support.hathor.push_node import ScriptedNode
from support.hathor.streams import NOW_S, SCENARIOS, VECTORS, apply, our_table, prepare, scenario
from support.mariadb import MariaDB
from support.sql import execute

RULES = Rules(network=MAINNET, reward_spend_min_blocks=300)


@pytest.mark.parametrize("name", SCENARIOS)
async def test_an_original_database_is_adopted(mariadb: MariaDB, name: str) -> None:
    database = Database(mariadb.new_database())
    await database.write(lambda c: fill(c, name))
    columns = ("address", "tx_id", "token_id", "balance", "timestamp")
    before = await database.read(lambda c: our_table(c, "address_tx_history", columns))
    await prepare(database)
    await prepare(database)  # a second start finds nothing to do
    assert await database.read(lambda c: our_table(c, "address_tx_history", columns)) == before
    events = scenario(name)
    last = json.loads((VECTORS / "oracle.json").read_text())[name]["db_last_event_id"]
    await apply(database, [event for event in events if event.id > last], window=10)
    verifier = Verifier(database=database, clock=ManualClock(NOW_S * 1000), rules=RULES)
    report = await verifier.run()
    wrong = {difference.table for difference in report.differences}
    assert wrong <= {"miner", "token"}  # the record has no miners; the original does not count voids down
    await Verifier(database=database, clock=ManualClock(NOW_S * 1000), rules=RULES, repair=True).run()
    assert (await verifier.run()).count == 0
    await database.close()


async def test_proposals_of_the_original_let_go_of_their_outputs(mariadb: MariaDB) -> None:
    """Released: the cancelled. Held on: the open, until it is too old, and the sent, until a day has passed."""
    database = Database(mariadb.new_database())
    await database.write(lambda c: fill(c, "SINGLE_CHAIN_BLOCKS_AND_TRANSACTIONS"))
    await database.write(mark_outputs)
    await prepare(database)
    assert await database.read(marked) == ["open", "sent"]
    clock = ManualClock(NOW_S * 1000)
    node = ScriptedNode()
    background = Background()
    broadcaster = Broadcaster(
        network=TransactionNetwork(node, clock),
        effects=ProposalEffects(clock, Metrics("test")),
        database=database,
        clock=clock,
        entropy=SeededEntropy(),
        background=background,
        pace=PACE,
    )
    sweep = ProposalSweep(database, broadcaster, node, clock, lambda _connection, _id: None)
    await sweep.sweep()
    assert await database.read(marked) == ["open", "sent"]
    clock.advance(LIFE_S)
    await sweep.sweep()
    assert await database.read(marked) == ["sent"]
    clock.advance(86_400)
    await sweep.sweep()
    assert await database.read(marked) == []
    assert node.pushed == []
    await background.close()
    await database.close()


def mark_outputs(connection: Connection) -> None:
    outputs = execute(connection, "SELECT tx_id, `index` FROM tx_output WHERE spent_by IS NULL LIMIT 3")
    for status, (tx_id, index) in zip(("open", "sent", "cancelled"), outputs, strict=True):
        sql = "INSERT INTO tx_proposal (id, wallet_id, status, created_at, updated_at) VALUES ({}, 'w', {}, {}, {})"
        execute(connection, sql, status, status, NOW_S, NOW_S)
        sql = "UPDATE tx_output SET tx_proposal = {}, tx_proposal_index = 0 WHERE tx_id = {} AND `index` = {}"
        execute(connection, sql, status, tx_id, index)


def marked(connection: Connection) -> list[str]:
    sql = "SELECT tx_proposal FROM tx_output WHERE tx_proposal IS NOT NULL ORDER BY tx_proposal"
    return [row[0] for row in execute(connection, sql)]
