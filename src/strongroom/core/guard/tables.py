"""The tables of rules, freezes and approvals. They live in each ledger's own database."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table

from strongroom.core.storage.database import ascii_text, binary, exact_text
from strongroom.core.storage.tables import LONG_TEXT, metadata

guard = Table(
    "strongroom_guard",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("generation", BigInteger, nullable=False),
    Column("sequence", BigInteger),
    Column("tag", binary(32)),
)
"""One row. Every change of a rule or a freeze gives another `generation`; every signature holds the row while it is made. `tag` is
a keyed hash of all rules and freezes, and `sequence` names the audit row of their last change (`core.guard.tagged_state`)."""

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

approval = Table(
    "strongroom_approval",
    metadata,
    Column("id", ascii_text(32), primary_key=True),
    # Only one waiting request may have a slot; NULL once a request without a key has ended.
    Column("slot", binary(32), unique=True),
    Column("purpose", ascii_text(16), nullable=False),
    Column("state", ascii_text(16), nullable=False),
    Column("terms_hash", binary(32), nullable=False),
    Column("terms", LONG_TEXT, nullable=False),
    Column("principal", exact_text(190), nullable=False),
    Column("requester", LONG_TEXT, nullable=False),
    Column("idempotency_key", exact_text(190)),
    Column("document", LONG_TEXT),
    Column("requirements", LONG_TEXT, nullable=False),
    Column("votes", Integer, nullable=False),
    Column("asked_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    Column("payload_id", binary(64)),
    Column("reason", LONG_TEXT),
    Column("sequence", BigInteger),
    Column("tag", binary(32)),
    Index("strongroom_approval_state", "state", "asked_at_ms"),
)
"""Requests that people must approve (`core.guard.approvals`). Every change of one, and every vote, updates its row. `tag` is
a keyed hash of the request and its votes, and `sequence` names the audit row of its last change."""

vote = Table(
    "strongroom_approval_vote",
    metadata,
    Column("approval", ascii_text(32), primary_key=True),
    Column("principal", exact_text(190), primary_key=True),
    Column("token", ascii_text(32)),
    Column("has_scope", Boolean, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("source", exact_text(190), nullable=False),
)
"""Who approved a request. A refusal ends the request, and is in its row."""
