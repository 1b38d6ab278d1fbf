"""The audit trail in lanes: the database numbers its rows, and each lane has a head of its own.

The rows of before stay as they are. Their head becomes that of lane -1, so that a process of an earlier version, which looks for it
where it was, signs nothing any more.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from strongroom.core.storage.database import ascii_text, binary, exact_text, insert_ignore

revision = "core_0014"
down_revision = "core_0013"

LANES = 256
OLD = -1
LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
HEAD = sa.table("strongroom_audit_head", *(sa.column(name) for name in ("sequence", "hash")))
COLUMNS = "sequence, at_ms, principal, action, subject, details, previous_hash, hash"
# One statement, so that a migration that is killed leaves all of it or none.
ALTER = """
ALTER TABLE strongroom_audit MODIFY sequence BIGINT NOT NULL AUTO_INCREMENT,
 ADD COLUMN lane SMALLINT, ADD COLUMN number BIGINT,
 ADD UNIQUE INDEX strongroom_audit_number (lane, number)
"""


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        _rebuild(connection)
    elif not _has_lanes(connection):
        connection.execute(sa.text(ALTER))
    heads = op.create_table(
        "strongroom_audit_lane",
        sa.Column("lane", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("hash", binary(32), nullable=False),
        sa.Column("tag", binary(32)),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("excluded", sa.BigInteger, nullable=False),
    )
    insert_ignore(connection, heads, [_head(lane) for lane in range(LANES)])
    if sa.inspect(connection).has_table("strongroom_audit_head"):
        old = connection.execute(sa.select(HEAD)).first()
        if old is not None:
            ends = {"number": old.sequence, "sequence": old.sequence, "hash": old.hash}
            insert_ignore(connection, heads, [{**_head(OLD), **ends}])
    op.drop_table("strongroom_audit_head")


def plan(connection: sa.Connection) -> list[str]:
    """What `upgrade` would do, in sentences. It only reads."""
    if not sa.inspect(connection).has_table("strongroom_audit") or _has_lanes(connection):
        return []
    return ["strongroom_audit: the database numbers the rows from now on; all of them are copied"]


def _head(lane: int) -> dict[str, object]:
    end = {"number": 0, "sequence": 0, "hash": bytes(32), "tag": None}
    return {"lane": lane, **end, "at_ms": 0, "excluded": 0}


def _has_lanes(connection: sa.Connection) -> bool:
    return "lane" in {column["name"] for column in sa.inspect(connection).get_columns("strongroom_audit")}


def _rebuild(connection: sa.Connection) -> None:
    """SQLite numbers rows by itself only where the key is an INTEGER, and changes no column."""
    op.drop_index("strongroom_audit_subject", "strongroom_audit")
    op.rename_table("strongroom_audit", "strongroom_audit_before")
    op.create_table(
        "strongroom_audit",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("principal", exact_text(190), nullable=False),
        sa.Column("action", ascii_text(64), nullable=False),
        sa.Column("subject", exact_text(255), nullable=False),
        sa.Column("details", LONG_TEXT, nullable=False),
        sa.Column("previous_hash", binary(32), nullable=False),
        sa.Column("hash", binary(32), nullable=False),
        sa.Column("lane", sa.SmallInteger),
        sa.Column("number", sa.BigInteger),
        sa.Index("strongroom_audit_subject", "subject", "sequence"),
        sa.Index("strongroom_audit_number", "lane", "number", unique=True),
    )
    copy = f"INSERT INTO strongroom_audit ({COLUMNS}) SELECT {COLUMNS} FROM strongroom_audit_before"  # noqa: S608 - our own names
    connection.execute(sa.text(copy))
    op.drop_table("strongroom_audit_before")
