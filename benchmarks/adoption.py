"""How fast a durable MariaDB rewrites a table of some 100 MiB, and indexes it: what `strongroom adopt --dry-run` reckons with.

.venv/bin/python benchmarks/adoption.py
"""

import asyncio
import sys
import time
from pathlib import Path

from sqlalchemy import Connection, text

from strongroom.core.storage.database import Database

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.mariadb import running_mariadb

DOUBLINGS = 9
FIRST_ROWS = 1000
STATEMENTS = {
    "ALTER that rewrites": "ALTER TABLE address_tx_history MODIFY balance DECIMAL(40) NOT NULL",
    "ALTER of a character set": (
        "ALTER TABLE address_tx_history MODIFY token_id VARCHAR(64)"
        " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL"
    ),
    "CREATE INDEX": "CREATE INDEX strongroom_measured ON address_tx_history (address, timestamp)",
}


def fill(connection: Connection) -> None:
    """Rows as the index of Hathor has them, of addresses in no order."""
    connection.execute(
        text(
            "CREATE TABLE address_tx_history (address VARCHAR(34) NOT NULL, tx_id VARCHAR(64) NOT NULL,"
            " token_id VARCHAR(64) NOT NULL, balance BIGINT NOT NULL, timestamp INT UNSIGNED NOT NULL,"
            " voided BOOLEAN NOT NULL DEFAULT FALSE, PRIMARY KEY (address, tx_id, token_id)) DEFAULT CHARSET latin1"
        )
    )
    made = "LEFT(SHA2(RAND(), 256), 34), SHA2(RAND(), 256), '00', 100, FLOOR(RAND() * 2000000000), 0"
    connection.execute(text(f"INSERT INTO address_tx_history SELECT {made} FROM seq_1_to_{FIRST_ROWS}"))  # noqa: S608 - the script's own
    for _ in range(DOUBLINGS):
        connection.execute(text(f"INSERT INTO address_tx_history SELECT {made} FROM address_tx_history"))  # noqa: S608 - as above
        connection.commit()


def size(connection: Connection) -> int:
    connection.execute(text("ANALYZE TABLE address_tx_history"))
    return int(
        connection.scalar(
            text(
                "SELECT DATA_LENGTH + INDEX_LENGTH FROM information_schema.TABLES"
                " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'address_tx_history'"
            )
        )
        or 0
    )


def measure(connection: Connection) -> None:
    print(connection.scalar(text("SELECT VERSION()")))
    fill(connection)
    for name, statement in STATEMENTS.items():
        before = size(connection)
        begun_s = time.perf_counter()
        connection.execute(text(statement))
        took_s = time.perf_counter() - begun_s
        print(
            f"{name}: {before >> 20} MiB in {took_s:.1f} s, {before / took_s / (1 << 20):.1f} MiB/s",
            flush=True,
        )


async def main() -> None:
    with running_mariadb(durable=True) as server:
        database = Database(server.new_database(), pool_size=1)
        await database.write(measure, answer_s=None)
        await database.close()


if __name__ == "__main__":
    asyncio.run(main())
