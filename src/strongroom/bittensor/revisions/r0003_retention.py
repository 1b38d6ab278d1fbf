"""What is old is found by its age."""

from alembic import op

revision = "bittensor_0003"
down_revision = "bittensor_0002"


def upgrade() -> None:
    op.create_index("strongroom_bittensor_job_age", "strongroom_bittensor_job", ["is_open", "created_at_ms"])
    op.create_index("strongroom_bittensor_extrinsic_age", "strongroom_bittensor_extrinsic", ["created_at_ms"])
