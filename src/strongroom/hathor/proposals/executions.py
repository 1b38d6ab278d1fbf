"""What became of transactions that a node took, for lists of payments: the network may void them later, and take them back."""

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import ColumnElement, Connection, exists, false, func, select

from strongroom.core.intents.execution import Execution, ExecutionState
from strongroom.core.intents.tables import intent
from strongroom.hathor import tables

_transaction = tables.transaction.c
VOIDED: Final = Execution(
    state=ExecutionState.FAILED,
    reason="the network voided it, for example because another transaction spends the same; it may come back",
)


class VoidedExecutions:
    """See `core.intents.execution.Executions`. What is not voided has its effect."""

    def load(self, connection: Connection, ids: Collection[bytes]) -> Mapping[bytes, Execution]:
        among = _transaction.tx_id.in_([one.hex() for one in ids])
        query = select(_transaction.tx_id).where(among, _transaction.voided.is_(True))
        return {bytes.fromhex(tx_id): VOIDED for tx_id in connection.execute(query).scalars()}

    def having(self, state: ExecutionState) -> ColumnElement[bool]:
        if state is not ExecutionState.FAILED:
            return false()
        ours = _transaction.tx_id == func.lower(func.hex(intent.c.id))
        return exists().where(ours, _transaction.voided.is_(True))
