"""Adopts the accounts that the original server left in the database."""

import structlog
from sqlalchemy import Connection, select

from strongroom.atto import tables
from strongroom.atto.protocol import Address, ProtocolError
from strongroom.atto.wallets.accounts import Derived, chain_row
from strongroom.core.chunks import chunks
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)

CHUNK = 1000


async def adopt_accounts(database: Database) -> int:
    """Inserts a row in our table for every account of the original's table; returns how many were new.

    Their states and histories come from the node. Their callbacks continue after the height in `notification_state`. The
    function logs and skips a row that the original server cannot have written, so that one bad row does not stop the start.
    """
    columns = tables.chain.c
    chains = await database.fetch_all(select(columns.address, columns.wallet_name, columns.account_index))
    known = {row.address for row in chains}
    taken = {(row.wallet_name, row.account_index) for row in chains}
    oldest_first = select(tables.account).order_by(tables.account.c.persisted_at, tables.account.c.address)
    rows = [row for row in await database.fetch_all(oldest_first) if row.address not in known]
    fresh = []
    for row in rows:
        try:
            account = Derived(index=row.account_index, address=Address.parse(row.address))
        except ProtocolError:
            log.error("an account row has no valid address; it is left alone", address=row.address)
            continue
        if (row.wallet_name, row.account_index) in taken:
            log.error("two account rows have one index; the younger is left alone", address=row.address)
            continue
        taken.add((row.wallet_name, row.account_index))
        fresh.append(
            chain_row(account, row.wallet_name, origin="CREATED", disabled=row.disabled_at is not None)
        )
    for chunk in chunks(fresh, CHUNK):

        def work(connection: Connection, values: list[dict[str, object]] = chunk) -> None:
            connection.execute(tables.chain.insert(), values)

        await database.write(work)
    if fresh:
        log.info("adopted accounts of an existing database", count=len(fresh))
    return len(fresh)
