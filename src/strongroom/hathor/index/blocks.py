"""Reads the chain's blocks, and who mined them."""

from typing import NamedTuple

from sqlalchemy import Connection, false, select

from strongroom.core.storage.database import Database
from strongroom.core.storage.statements import Statement, execute
from strongroom.hathor import tables
from strongroom.hathor.protocol.events import BLOCK_VERSIONS

_transaction, _miner = tables.transaction.c, tables.miner.c
BEST = Statement(
    select(_transaction.tx_id, _transaction.height, _transaction.timestamp)
    .where(
        _transaction.height.is_not(None),
        _transaction.version.in_(sorted(BLOCK_VERSIONS)),
        _transaction.voided == false(),
    )
    .order_by(_transaction.height.desc())
    .limit(1)
)
MINERS = Statement(
    select(_miner.address, _miner.first_block, _miner.last_block, _miner["count"]).order_by(
        _miner["count"].desc(), _miner.address
    )
)


class Block(NamedTuple):
    tx_id: str
    height: int
    timestamp_s: int


class Miner(NamedTuple):
    address: str
    first_block: str
    last_block: str
    blocks: int


async def read_best_height(database: Database) -> int:
    return await database.read(best_height)


async def read_best_block(database: Database) -> Block | None:
    return await database.read(best_block)


async def read_miners(database: Database) -> list[Miner]:
    return await database.read(miners)


def best_height(connection: Connection) -> int:
    """Returns the height of the highest block that is not voided; 0 when there is none."""
    rows = execute(connection, BEST)
    return int(rows[0][1]) if rows else 0


def best_block(connection: Connection) -> Block | None:
    """Returns the highest block that is not voided; None when there is none."""
    rows = execute(connection, BEST)
    return Block(*rows[0]) if rows else None


def miners(connection: Connection) -> list[Miner]:
    """Returns every address that mined a block, the busiest first."""
    return [Miner(*row) for row in execute(connection, MINERS)]
