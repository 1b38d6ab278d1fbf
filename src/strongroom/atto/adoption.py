"""Takes over the accounts that the original server left in the database."""

import structlog
from sqlalchemy import Connection, select

from strongroom.atto import tables
from strongroom.atto.accounts import Derived, chain_row
from strongroom.atto.protocol import Address, ProtocolError
from strongroom.core.database import Database

log = structlog.get_logger(__name__)

CHUNK = 1000


async def adopt_accounts(database: Database) -> int:
    """Gives every account of the original's table a row of ours; returns how many were new.

    Their states and histories come from the node; their callbacks go on at the height in `notification_state`.
    """
    known = {row.address for row in await database.fetch_all(select(tables.chain.c.address))}
    rows = [row for row in await database.fetch_all(select(tables.account)) if row.address not in known]
    fresh = []
    for row in rows:
        try:
            account = Derived(index=row.account_index, address=Address.parse(row.address))
        except ProtocolError:
            log.error("an account row has no valid address; it is left alone", address=row.address)
            continue
        fresh.append(
            chain_row(account, row.wallet_name, origin="CREATED", disabled=row.disabled_at is not None)
        )
    for start in range(0, len(fresh), CHUNK):
        chunk = fresh[start : start + CHUNK]

        def work(connection: Connection, values: list[dict[str, object]] = chunk) -> None:
            connection.execute(tables.chain.insert(), values)

        await database.write(work)
    if fresh:
        log.info("adopted accounts of an existing database", count=len(fresh))
    return len(fresh)
