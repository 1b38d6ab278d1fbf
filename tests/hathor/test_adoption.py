"""A database of the original is taken over in place: its rows stay, and the sync goes on from them."""

import csv
import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, text

from strongroom.core.background import Background
from strongroom.core.bulk import execute
from strongroom.core.database import Database
from strongroom.core.telemetry import Health, Metrics
from strongroom.hathor.proposal_sweep import LIFE_S, ProposalSweep
from strongroom.hathor.protocol.addresses import MAINNET
from strongroom.hathor.sending import Sender
from strongroom.hathor.sync.batch import Rules
from strongroom.hathor.verify import Verifier
from support.clock import ManualClock, SeededEntropy
from support.hathor.push_node import ScriptedNode
from support.hathor.streams import NOW_S, SCENARIOS, VECTORS, apply, our_table, prepare, scenario
from support.mariadb import MariaDB

RULES = Rules(network=MAINNET, reward_spend_min_blocks=300)
VALUES = """unlocked_balance BIGINT UNSIGNED NOT NULL, locked_balance BIGINT UNSIGNED NOT NULL,
 unlocked_authorities TINYINT UNSIGNED NOT NULL DEFAULT 0, locked_authorities TINYINT UNSIGNED NOT NULL DEFAULT 0,
 timelock_expires INT UNSIGNED, transactions INT UNSIGNED NOT NULL, total_received BIGINT UNSIGNED NOT NULL DEFAULT 0,
 unlocked_shielded_balance BIGINT UNSIGNED NOT NULL DEFAULT 0, locked_shielded_balance BIGINT UNSIGNED NOT NULL DEFAULT 0,
 total_shielded_received BIGINT UNSIGNED NOT NULL DEFAULT 0"""
DATES = "created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP"
HISTORY = """balance BIGINT NOT NULL, shielded_balance_delta BIGINT NOT NULL DEFAULT 0, timestamp INT UNSIGNED NOT NULL,
 voided BOOL NOT NULL DEFAULT 0"""
ORIGINAL = f"""
CREATE TABLE address (address VARCHAR(34) PRIMARY KEY, `index` INT UNSIGNED, wallet_id VARCHAR(64),
 transactions INT UNSIGNED NOT NULL, seqnum INT NOT NULL DEFAULT 0, bip32_account TINYINT UNSIGNED,
 scan_privkey VARBINARY(32), catchup_state ENUM('pending','running','done'), ct_address VARCHAR(100));
CREATE TABLE address_balance (address VARCHAR(34), token_id VARCHAR(64), {VALUES}, {DATES}, PRIMARY KEY (address, token_id));
CREATE TABLE address_tx_history (address VARCHAR(34), tx_id VARCHAR(64), token_id VARCHAR(64), {HISTORY},
 PRIMARY KEY (address, tx_id, token_id), INDEX (tx_id), INDEX (token_id));
CREATE TABLE wallet (id VARCHAR(64) PRIMARY KEY, xpubkey VARCHAR(120) NOT NULL, auth_xpubkey VARCHAR(120) NOT NULL,
 status ENUM('creating','ready','error') NOT NULL, max_gap SMALLINT UNSIGNED NOT NULL DEFAULT 20,
 created_at INT UNSIGNED NOT NULL, ready_at INT UNSIGNED, retry_count SMALLINT UNSIGNED NOT NULL DEFAULT 0,
 last_used_address_index INT NOT NULL DEFAULT -1, scan_xpriv BLOB, spend_xpub VARCHAR(120),
 shielded_max_gap SMALLINT UNSIGNED DEFAULT 20, last_used_shielded_index INT UNSIGNED,
 ct_status ENUM('none','creating','ready','error') NOT NULL DEFAULT 'none');
CREATE TABLE wallet_balance (wallet_id VARCHAR(64), token_id VARCHAR(64), {VALUES}, PRIMARY KEY (wallet_id, token_id));
CREATE TABLE wallet_tx_history (wallet_id VARCHAR(64), token_id VARCHAR(64), tx_id VARCHAR(64), {HISTORY},
 PRIMARY KEY (wallet_id, token_id, tx_id));
CREATE TABLE tx_output (tx_id VARCHAR(64), `index` SMALLINT UNSIGNED, token_id VARCHAR(64), address VARCHAR(34) NOT NULL,
 value BIGINT UNSIGNED, authorities TINYINT UNSIGNED, timelock INT UNSIGNED, heightlock INT UNSIGNED,
 locked BOOL NOT NULL DEFAULT 0, tx_proposal VARCHAR(36), tx_proposal_index TINYINT UNSIGNED, spent_by VARCHAR(64),
 voided BOOL NOT NULL DEFAULT 0, mode TINYINT UNSIGNED NOT NULL DEFAULT 0,
 recovery_state ENUM('unowned','recovered','recovery_failed'), PRIMARY KEY (tx_id, `index`), INDEX (heightlock),
 INDEX (timelock), INDEX (address), INDEX (spent_by), INDEX (locked, heightlock));
CREATE TABLE `transaction` (tx_id VARCHAR(64) PRIMARY KEY, timestamp INT UNSIGNED NOT NULL, version TINYINT UNSIGNED NOT NULL,
 voided BOOL NOT NULL DEFAULT 0, height INT UNSIGNED, weight FLOAT, first_block VARCHAR(64), {DATES}, INDEX (height));
CREATE TABLE token (id VARCHAR(64) PRIMARY KEY, name VARCHAR(30) NOT NULL, symbol VARCHAR(5) NOT NULL,
 version INT UNSIGNED NOT NULL DEFAULT 1, transactions INT UNSIGNED NOT NULL DEFAULT 0, {DATES});
CREATE TABLE token_creation (token_id VARCHAR(64) PRIMARY KEY, tx_id VARCHAR(64) NOT NULL, first_block VARCHAR(64),
 created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, FOREIGN KEY (token_id) REFERENCES token (id) ON DELETE CASCADE);
CREATE TABLE tx_proposal (id VARCHAR(36) PRIMARY KEY, wallet_id VARCHAR(64) NOT NULL,
 status ENUM('open','sent','send_error','cancelled') NOT NULL, created_at INT UNSIGNED NOT NULL, updated_at INT UNSIGNED);
CREATE TABLE miner (address VARCHAR(34) PRIMARY KEY, first_block VARCHAR(64) NOT NULL, last_block VARCHAR(64) NOT NULL,
 count BIGINT UNSIGNED NOT NULL);
CREATE TABLE sync_metadata (id INT PRIMARY KEY, last_event_id INT NOT NULL, updated_at VARCHAR(64) NOT NULL);
"""
FILLED = (
    "address",
    "address_balance",
    "address_tx_history",
    "transaction",
    "tx_output",
    "token",
    "token_creation",
)


def recorded(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for table in (*FILLED, "sync_metadata"):
        with (VECTORS / "tables" / name / f"{table}.tsv").open() as lines:
            for row in csv.DictReader(lines, delimiter="\t"):
                yield table, {key: None if value == "NULL" else value for key, value in row.items()}


def fill(connection: Connection, name: str) -> None:
    for statement in filter(str.strip, ORIGINAL.split(";\n")):
        connection.execute(text(statement))
    for table, row in recorded(name):
        names = ", ".join(f"`{key}`" for key in row)
        marks = ", ".join(["{}"] * len(row))
        execute(connection, f"INSERT INTO `{table}` ({names}) VALUES ({marks})", *row.values())  # noqa: S608 - our own names


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
    sender = Sender(
        node=node,
        database=database,
        clock=clock,
        entropy=SeededEntropy(),
        background=background,
        health=Health(),
        metrics=Metrics("test"),
    )
    sweep = ProposalSweep(database, sender, node, clock)
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
