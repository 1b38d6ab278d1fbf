"""Whether there is what somebody wants to freeze: a freeze of a misspelt name stops nothing."""

from sqlalchemy import select

from strongroom.core.guard.state import FreezeScope
from strongroom.core.ledger.contract import Ledger
from strongroom.core.storage import tables


async def has_subject(ledger: Ledger, scope: FreezeScope, name: str) -> bool:
    """Also true where the ledger does not say."""
    match scope:
        case FreezeScope.LEDGER:
            return True
        case FreezeScope.WALLET:
            return await ledger.has_wallet(name) is not False
    query = select(tables.token.c.id).where(tables.token.c.name == name)
    return await ledger.database.fetch_one(query) is not None
