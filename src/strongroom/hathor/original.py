"""hathor-wallet-service, as its database shows it. Its migration tool is Sequelize, which keeps the names of migrations."""

from typing import Any, Final

from sqlalchemy import Connection, MetaData, delete, null, select, text, update

from strongroom.core.storage.adoption.original import Original, OriginalVersion
from strongroom.hathor import tables

NEWEST: Final = "20260629100000"
"""The number of the newest migration that this service knows."""
NATIVE: Final = "00"
RELEASED: Final = """
SELECT tx_id, `index`, tx_proposal, tx_proposal_index FROM tx_output WHERE tx_proposal IS NOT NULL
AND tx_proposal NOT IN (SELECT id FROM tx_proposal WHERE status IN ('open', 'sent'))
"""
"""As the second revision releases them."""


class HathorWalletService(Original):
    """See `core.storage.adoption.original`. The position of the sync, proposals and all of the index are in its own tables."""

    title = "hathor-wallet-service"
    history = "SequelizeMeta"

    @property
    def tables(self) -> MetaData:
        return tables.metadata

    def version(self, connection: Connection) -> OriginalVersion:
        names = sorted(
            str(name) for name in connection.execute(text("SELECT name FROM `SequelizeMeta`")).scalars()
        )
        newest = names[-1].removesuffix(".js") if names else "none"
        problem = None
        if not names:
            problem = "its migrations have not run"
        elif newest[: len(NEWEST)] > NEWEST:
            problem = f"its migration {newest} is newer than {NEWEST}, the newest that this service knows"
        return OriginalVersion(name=f"migration {newest}", problem=problem)

    def remember(self, connection: Connection) -> Any:
        """The outputs that the migration releases, and whether the native token has a row."""
        released = [list(row) for row in connection.execute(text(RELEASED))]
        has_native = (
            connection.scalar(select(tables.token.c.id).where(tables.token.c.id == NATIVE)) is not None
        )
        return {"released": released, "has_native": has_native}

    def restore(self, connection: Connection, remembered: Any) -> None:
        """Marks the released outputs again that nobody has taken or spent since."""
        output = tables.tx_output.c
        for tx_id, index, proposal, place in remembered["released"]:
            connection.execute(
                update(tables.tx_output)
                .where(
                    output.tx_id == tx_id,
                    output.index == index,
                    output.tx_proposal.is_(null()),
                    output.spent_by.is_(null()),
                )
                .values(tx_proposal=proposal, tx_proposal_index=place)
            )
        if not remembered["has_native"]:
            connection.execute(
                delete(tables.token).where(tables.token.c.id == NATIVE, tables.token.c.transactions == 0)
            )
