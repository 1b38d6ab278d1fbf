"""Indexes for lists that people page through: without them a filter that few rows pass reads the whole table."""

from alembic import op

revision = "core_0023"
down_revision = "core_0022"
BORNE = True


def upgrade() -> None:
    for column in ("principal", "token", "rule", "kind"):
        op.create_index(f"strongroom_intent_{column}", "strongroom_intent", [column, "created_at_ms"])
    op.create_index("strongroom_webhook_event_page", "strongroom_webhook_event", ["endpoint", "state", "id"])
