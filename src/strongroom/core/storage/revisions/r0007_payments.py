"""What lists of payments say of an intent: its wallet, the token that asked for it, and the rule that allowed it."""

import sqlalchemy as sa
from alembic import op

from strongroom.core.storage.database import ascii_text, exact_text

revision = "core_0007"
down_revision = "core_0006"


def upgrade() -> None:
    op.add_column("strongroom_intent", sa.Column("wallet", exact_text(255)))
    op.add_column("strongroom_intent", sa.Column("token", ascii_text(32)))
    op.add_column("strongroom_intent", sa.Column("rule", exact_text(190)))
    op.create_index("strongroom_intent_wallet", "strongroom_intent", ["wallet", "created_at_ms"])
    op.create_index("strongroom_intent_time", "strongroom_intent", ["created_at_ms"])
