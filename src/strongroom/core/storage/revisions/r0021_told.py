"""What the client called the request of a payment, who was told of the payment, and attempts to deliver events of the outbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from strongroom.core.storage.database import exact_text

revision = "core_0021"
down_revision = "core_0020"
BORNE = True

LONG_TEXT = sa.Text().with_variant(
    mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)


def upgrade() -> None:
    op.add_column("strongroom_intent", sa.Column("client_key", exact_text(190)))
    op.add_column("strongroom_intent", sa.Column("told_at_ms", sa.BigInteger))
    op.add_column("strongroom_intent", sa.Column("told_attempts", sa.Integer))
    op.create_index("strongroom_intent_client_key", "strongroom_intent", ["client_key"])
    op.add_column("strongroom_outbox", sa.Column("attempts", sa.Integer))
    op.add_column("strongroom_outbox", sa.Column("trouble", LONG_TEXT))
