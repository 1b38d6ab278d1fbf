"""A database as hathor-wallet-service leaves it: its tables, and the rows that its daemon wrote for a recorded stream."""

import csv
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, text

from support.hathor.streams import VECTORS
from support.sql import execute

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
CREATE TABLE push_devices (device_id VARCHAR(256) PRIMARY KEY, push_provider ENUM('ios','android') NOT NULL,
 wallet_id VARCHAR(64) NOT NULL, enable_push BOOL NOT NULL DEFAULT 0, enable_show_amounts BOOL NOT NULL DEFAULT 0,
 updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
 FOREIGN KEY (wallet_id) REFERENCES wallet (id));
CREATE TABLE version_data (id INT UNSIGNED PRIMARY KEY DEFAULT 1, timestamp BIGINT UNSIGNED NOT NULL, data TEXT NOT NULL);
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


def create_tables(connection: Connection) -> None:
    for statement in filter(str.strip, ORIGINAL.split(";\n")):
        connection.execute(text(statement))


def fill(connection: Connection, name: str) -> None:
    create_tables(connection)
    for table, row in recorded(name):
        names = ", ".join(f"`{key}`" for key in row)
        marks = ", ".join(["{}"] * len(row))
        execute(connection, f"INSERT INTO `{table}` ({names}) VALUES ({marks})", *row.values())  # noqa: S608 - our own names
