"""What it takes to follow a payment: the request that had it signed, its offers, and who was told of it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from strongroom.core.storage.database import ascii_text, binary

revision = "core_0020"
down_revision = "core_0016"
BORNE = True

LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)


def upgrade() -> None:
    op.add_column("strongroom_intent", sa.Column("request_id", ascii_text(128)))
    op.add_column("strongroom_intent", sa.Column("first_offered_at_ms", sa.BigInteger))
    op.add_column("strongroom_intent", sa.Column("last_offered_at_ms", sa.BigInteger))
    op.add_column("strongroom_intent", sa.Column("last_answer", LONG_TEXT))
    op.add_column("strongroom_intent", sa.Column("last_answer_at_ms", sa.BigInteger))
    op.create_index("strongroom_intent_request", "strongroom_intent", ["request_id"])
    op.add_column("strongroom_webhook_event", sa.Column("payment", binary(32)))
    op.create_index("strongroom_webhook_event_payment", "strongroom_webhook_event", ["payment"])
