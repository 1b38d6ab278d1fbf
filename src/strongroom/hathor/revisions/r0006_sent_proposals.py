"""What was sent is kept for a week, so that the same bytes get the same answer."""

from alembic import op

from strongroom.core.storage.resume import create_missing
from strongroom.hathor.revisions.frozen import tables

revision = "hathor_0006"
down_revision = "hathor_0005"


def upgrade() -> None:
    create_missing(op.get_bind(), tables.sent_proposal)
