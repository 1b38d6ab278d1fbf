"""The chain's blocks as the tables have them, and who mined them."""

from typing import Any

from sqlalchemy import Connection

from strongroom.core.storage.database import Database
from strongroom.core.storage.statements import execute

BEST = (
    "SELECT tx_id, height, timestamp FROM `transaction`"
    " WHERE height IS NOT NULL AND version IN (0, 3, 5) AND voided = 0 ORDER BY height DESC LIMIT 1"
)
MINERS = "SELECT address, first_block, last_block, count FROM miner ORDER BY count DESC, address"


async def read_best_height(database: Database) -> int:
    return await database.read(best_height)


async def read_best_block(database: Database) -> dict[str, Any] | None:
    return await database.read(best_block)


async def read_miners(database: Database) -> list[dict[str, Any]]:
    return await database.read(miners)


def best_height(connection: Connection) -> int:
    """Of the highest block that is not voided; 0 when there is none."""
    rows = execute(connection, BEST)
    return int(rows[0][1]) if rows else 0


def best_block(connection: Connection) -> dict[str, Any] | None:
    """The highest block that is not voided; None when there is none."""
    rows = execute(connection, BEST)
    return {"txId": rows[0][0], "height": rows[0][1], "timestamp": rows[0][2]} if rows else None


def miners(connection: Connection) -> list[dict[str, Any]]:
    """Every address that ever mined a block, the busiest first."""
    return [
        {"address": address, "firstBlock": first, "lastBlock": last, "count": count}
        for address, first, last, count in execute(connection, MINERS)
    ]
