"""The tables of rules and freezes. They live in each ledger's own database."""

from sqlalchemy import BigInteger, Column, Index, Integer, Table

from strongroom.core.storage.database import ascii_text, exact_text
from strongroom.core.storage.tables import LONG_TEXT, metadata

guard = Table(
    "strongroom_guard",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("generation", BigInteger, nullable=False),
)
"""One row. Every change of a rule or a freeze gives another `generation`; every signature holds the row while it is made."""

rule = Table(
    "strongroom_rule",
    metadata,
    Column("id", ascii_text(32), primary_key=True),
    Column("name", exact_text(190), nullable=False),
    Column("document", LONG_TEXT, nullable=False),
    Column("added_at_ms", BigInteger, nullable=False),
    Column("added_by", exact_text(190), nullable=False),
    Column("starts_at_ms", BigInteger, nullable=False),
    Column("ends_at_ms", BigInteger),
    Column("removed_by", exact_text(190)),
    Index("strongroom_rule_name", "name", "added_at_ms"),
)
"""A rule never changes: another one takes its place. It counts from `starts_at_ms` until before `ends_at_ms`."""

freeze = Table(
    "strongroom_freeze",
    metadata,
    Column("id", ascii_text(32), primary_key=True),
    Column("scope", ascii_text(16), nullable=False),
    Column("subject", exact_text(255), nullable=False),
    Column("reason", LONG_TEXT, nullable=False),
    Column("frozen_at_ms", BigInteger, nullable=False),
    Column("frozen_by", exact_text(190), nullable=False),
    Column("ended_at_ms", BigInteger),
    Column("ended_by", exact_text(190)),
)
