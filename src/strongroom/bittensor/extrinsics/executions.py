"""What the chain did with extrinsics, for lists of payments: it is in their receipts."""

from collections.abc import Collection, Mapping

from sqlalchemy import ColumnElement, Connection, exists

from strongroom.bittensor.extrinsics.extrinsic import NO_RECEIPT, execution_of
from strongroom.bittensor.extrinsics.store import RECEIPT, load_receipts
from strongroom.core.intents.execution import Execution, ExecutionState
from strongroom.core.intents.tables import intent


class ReceiptExecutions:
    """See `core.intents.execution.Executions`. An extrinsic without a receipt may have failed: nobody knows."""

    def load(self, connection: Connection, ids: Collection[bytes]) -> Mapping[bytes, Execution]:
        receipts = load_receipts(connection, ids)
        return {one: execution_of(receipts.get(one, NO_RECEIPT).inclusion) for one in ids}

    def having(self, state: ExecutionState) -> ColumnElement[bool]:
        ours = RECEIPT.id == intent.c.id
        match state:
            case ExecutionState.SUCCEEDED:
                return exists().where(ours, RECEIPT.success.is_(True))
            case ExecutionState.FAILED:
                return exists().where(ours, RECEIPT.success.is_(False))
            case ExecutionState.UNKNOWN:
                return ~exists().where(ours, RECEIPT.success.is_not(None))
