"""Takes a wallet out of the database. The chain's record stays: its addresses belong to nobody again."""

from sqlalchemy import Connection, delete

from strongroom.core.storage import tables as core_tables
from strongroom.core.storage.database import Database
from strongroom.core.storage.statements import execute
from strongroom.hathor.index.writer_lock import lock_ledger
from strongroom.hathor.notifications.messages import DESTINATION
from strongroom.hathor.wallets.registry import WalletNotFound, lock_wallet

OWNED = ("wallet_balance", "wallet_tx_history", "push_devices")
FORGET = (
    "DELETE FROM address WHERE wallet_id = {} AND transactions = 0"
    " AND NOT EXISTS (SELECT 1 FROM tx_output o WHERE o.address = address.address)"
    " AND NOT EXISTS (SELECT 1 FROM strongroom_hathor_caller c WHERE c.address = address.address)"
)
"""Addresses that the chain has never seen: they are the wallet's secret, not a record."""
UNCLAIM = (
    "UPDATE address SET wallet_id = NULL, `index` = NULL, bip32_account = NULL, scan_privkey = NULL,"
    " catchup_state = NULL, ct_address = NULL WHERE wallet_id = {}"
)


async def take_out(database: Database, wallet_id: str) -> None:
    """Deletes it, however long a large one takes. Raises: WalletNotFound."""
    await database.write(lambda connection: delete_wallet(connection, wallet_id), answer_s=None)


def delete_wallet(connection: Connection, wallet_id: str) -> None:
    """Its balances, history, devices and undelivered messages go with it; its open proposals expire as all do.

    The same keys may register again: everything comes back out of the record, but for devices.

    Raises:
        WalletNotFound: there is no such wallet.
    """
    lock_ledger(connection)  # neither the sync nor a load is in the midst of it
    if not lock_wallet(connection, wallet_id):  # no device comes to it meanwhile
        raise WalletNotFound
    execute(connection, FORGET, wallet_id)
    execute(connection, UNCLAIM, wallet_id)
    for table in OWNED:
        execute(connection, f"DELETE FROM {table} WHERE wallet_id = {{}}", wallet_id)  # noqa: S608 - our own names
    execute(connection, "DELETE FROM wallet WHERE id = {}", wallet_id)
    columns = core_tables.outbox.c
    connection.execute(
        delete(core_tables.outbox).where(columns.destination == DESTINATION, columns.stream == wallet_id)
    )
