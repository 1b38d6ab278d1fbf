"""The chain's blocks as the tables have them."""

from sqlalchemy import Connection

from strongroom.core.bulk import execute

BEST = "SELECT height FROM `transaction` WHERE height IS NOT NULL AND version IN (0, 3, 5) AND voided = 0"


def best_height(connection: Connection) -> int:
    """Of the highest block that is not voided; 0 when there is none."""
    rows = execute(connection, BEST + " ORDER BY height DESC LIMIT 1")
    return rows[0][0] if rows else 0
