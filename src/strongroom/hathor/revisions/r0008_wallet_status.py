"""An index finds the wallets that are to be loaded: the service looks for them every two seconds."""

from alembic import op

revision = "hathor_0008"
down_revision = "hathor_0007"
BORNE = True


def upgrade() -> None:
    op.create_index("wallet_status_idx", "wallet", ["status"])
