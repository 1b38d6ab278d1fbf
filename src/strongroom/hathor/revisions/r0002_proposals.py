"""Proposals: what is sent and what is held, beside the original's `tx_proposal`.

Outputs that the original released only in its tables of proposals are released; those of proposals that are open or
sent are held on, and the sweep decides about them.
"""

import sqlalchemy as sa
from alembic import op

from strongroom.core.storage.resume import create_missing
from strongroom.hathor.revisions.frozen import tables

revision = "hathor_0002"
down_revision = "hathor_0001"

RELEASE = """
UPDATE tx_output SET tx_proposal = NULL, tx_proposal_index = NULL WHERE tx_proposal IS NOT NULL
AND tx_proposal NOT IN (SELECT id FROM tx_proposal WHERE status IN ('open', 'sent'))
"""
HOLD = """
INSERT INTO strongroom_hathor_held_output (tx_id, `index`, proposal_id)
SELECT o.tx_id, o.`index`, o.tx_proposal FROM tx_output o WHERE o.tx_proposal IS NOT NULL AND o.spent_by IS NULL
AND NOT EXISTS (SELECT 1 FROM strongroom_hathor_held_output h WHERE h.tx_id = o.tx_id AND h.`index` = o.`index`)
"""


def upgrade() -> None:
    connection = op.get_bind()
    for table in (tables.proposal, tables.held_output):
        create_missing(connection, table)
    connection.execute(sa.text(RELEASE))
    connection.execute(sa.text(HOLD))
