"""A database as the original wallet server leaves it: its tables, word for word in meaning, and its sealed blobs."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL

from support.databases import execute_elsewhere

VECTORS = Path(__file__).parents[1] / "vectors" / "atto" / "vectors.json"

TABLES = """
CREATE TABLE wallet (
  name VARCHAR(255) NOT NULL PRIMARY KEY,
  version INT UNSIGNED NOT NULL,
  encrypted_entropy VARBINARY(61) NOT NULL,
  encrypted_encryption_key VARBINARY(60),
  persisted_at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6) NOT NULL,
  updated_at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6) NOT NULL
);
CREATE TABLE account (
  address VARCHAR(61) NOT NULL PRIMARY KEY,
  version INT UNSIGNED NOT NULL,
  account_index INT UNSIGNED NOT NULL,
  wallet_name VARCHAR(255) NOT NULL,
  persisted_at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6) NOT NULL,
  updated_at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6) NOT NULL,
  disabled_at TIMESTAMP(6) NULL,
  CONSTRAINT fk_account_wallet FOREIGN KEY (wallet_name) REFERENCES wallet (name)
);
CREATE TABLE notification_state (
  address VARCHAR(61) NOT NULL PRIMARY KEY,
  version BIGINT UNSIGNED NOT NULL,
  height BIGINT UNSIGNED NOT NULL,
  persisted_at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6) NOT NULL,
  updated_at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6) NOT NULL,
  CONSTRAINT fk_notification_account FOREIGN KEY (address) REFERENCES account (address)
);
CREATE TABLE flyway_schema_history (
  installed_rank INT NOT NULL PRIMARY KEY,
  version VARCHAR(50),
  description VARCHAR(200) NOT NULL,
  type VARCHAR(20) NOT NULL,
  script VARCHAR(1000) NOT NULL,
  checksum INT,
  installed_by VARCHAR(100) NOT NULL,
  installed_on TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL,
  execution_time INT NOT NULL,
  success TINYINT(1) NOT NULL,
  KEY flyway_schema_history_s_idx (success)
);
INSERT INTO flyway_schema_history VALUES
  (1, '1', 'init', 'SQL', 'V1__init.sql', 1234567, 'root', '2025-01-01 00:00:00', 20, 1),
  (2, '2', 'notification', 'SQL', 'V2__notification.sql', -7654321, 'root', '2025-06-01 00:00:00', 10, 1);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginalAccount:
    address: str
    index: int
    version: int = 0
    disabled_at: str | None = None
    notified_height: int | None = None
    """None: no callback was ever sent."""


@cache
def at_rest() -> dict[str, Any]:
    """Blobs of the original's encryption, the key-encryption key, the wallet's key and its entropy."""
    vectors: dict[str, Any] = json.loads(VECTORS.read_text())["at_rest"]
    return vectors


def write_original(
    url: URL, accounts: Iterable[OriginalAccount], *, wallet: str = "Treasury", locked: bool = False
) -> None:
    """Fills an empty MySQL database."""
    key = "NULL" if locked else f"X'{at_rest()['encrypted_encryption_key']}'"
    statements = [
        TABLES.strip().rstrip(";"),
        _insert(
            "wallet",
            name=f"'{wallet}'",
            version=3,
            encrypted_entropy=f"X'{at_rest()['java_blob']}'",
            encrypted_encryption_key=key,
        ),
    ]
    for one in accounts:
        disabled_at = f"'{one.disabled_at}'" if one.disabled_at else "NULL"
        address, index, height = f"'{one.address}'", one.index, one.notified_height
        statements.append(
            _insert(
                "account",
                address=address,
                version=one.version,
                account_index=index,
                wallet_name=f"'{wallet}'",
                disabled_at=disabled_at,
            )
        )
        if height is not None:
            statements.append(_insert("notification_state", address=address, version=height, height=height))
    execute_elsewhere(url, ";".join(statements))


def _insert(table: str, **values: str | int) -> str:
    """Values are SQL."""
    columns, row = ", ".join(values), ", ".join(map(str, values.values()))
    return f"INSERT INTO {table} ({columns}) VALUES ({row})"  # noqa: S608 - all of it is the test's own
