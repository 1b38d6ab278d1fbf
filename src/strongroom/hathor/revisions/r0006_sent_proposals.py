"""What was sent is kept for a week, so that the same bytes get the same answer."""

import sqlalchemy as sa
from alembic import op

from strongroom.hathor import tables

revision = "hathor_0006"
down_revision = "hathor_0005"


def upgrade() -> None:
    connection = op.get_bind()
    if not sa.inspect(connection).has_table(tables.sent_proposal.name):
        tables.sent_proposal.create(connection)
