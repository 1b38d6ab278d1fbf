"""The tables of checkpoints."""

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, Table, select

from strongroom.core.storage.database import binary
from strongroom.core.storage.tables import LONG_TEXT, metadata
from strongroom.core.transparency.checker import HASH_BYTES

MAX_PEAKS = 63

checkpoint = Table(
    "strongroom_checkpoint",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("batch_rows", Integer, nullable=False),
    Column("batch_root", binary(HASH_BYTES), nullable=False),
    Column("root", binary(HASH_BYTES), nullable=False),
    Column("previous", binary(HASH_BYTES), nullable=False),
    Column("signature", binary(64), nullable=False),
    Column("ranges", LONG_TEXT, nullable=False),
    Index("strongroom_checkpoint_time", "at_ms"),
)

checkpoint_state = Table(
    "strongroom_checkpoint_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("positions", LONG_TEXT, nullable=False),
    Column("peaks", binary(MAX_PEAKS * HASH_BYTES), nullable=False),
)
"""One row, inserted when the table is created: the last checkpoint, how far it covers each lane
and with which row, and the log's whole subtrees."""

SIGNS: Final = (
    select(checkpoint.c.number).limit(1),
    select(checkpoint_state.c.id).where(checkpoint_state.c.number > 0).limit(1),
)
"""Find a row where there was ever a checkpoint: two, so that whoever removes one leaves the other."""
