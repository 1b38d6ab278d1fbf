"""Deletes a wallet. The record of the chain stays: the wallet's addresses belong to nobody again."""

from sqlalchemy import Connection, delete, exists, update

from strongroom.core.storage import tables as core_tables
from strongroom.core.storage.database import Database
from strongroom.core.storage.statements import Statement, arg, delete_by_key, execute
from strongroom.hathor import tables
from strongroom.hathor.index.writer_lock import lock_ledger
from strongroom.hathor.notifications.messages import DESTINATION
from strongroom.hathor.wallets.registry import WalletNotFound, lock_wallet

_address = tables.address.c
# Addresses that the chain has never seen: they are the wallet's secret, and no record.
FORGET = Statement(
    delete(tables.address).where(
        _address.wallet_id == arg("wallet_id"),
        _address.transactions == 0,
        ~exists().where(tables.tx_output.c.address == _address.address),
        ~exists().where(tables.caller.c.address == _address.address),
    ),
    "wallet_id",
)
UNCLAIM = Statement(
    update(tables.address)
    .where(_address.wallet_id == arg("wallet_id"))
    .values(
        wallet_id=None,
        index=None,
        bip32_account=None,
        scan_privkey=None,
        catchup_state=None,
        ct_address=None,
    ),
    "wallet_id",
)
DELETE_OWNED = [
    Statement(delete(table).where(table.c.wallet_id == arg("wallet_id")), "wallet_id")
    for table in (tables.wallet_balance, tables.wallet_tx_history, tables.push_devices)
]
DELETE_WALLET = delete_by_key(tables.wallet)
DELETE_MESSAGES = Statement(
    delete(core_tables.outbox).where(
        core_tables.outbox.c.destination == DESTINATION, core_tables.outbox.c.stream == arg("wallet_id")
    ),
    "wallet_id",
)


async def take_out(database: Database, wallet_id: str) -> None:
    """Deletes a wallet, however long a large one takes. Raises: WalletNotFound."""
    await database.write(lambda connection: delete_wallet(connection, wallet_id), answer_s=None)


def delete_wallet(connection: Connection, wallet_id: str) -> None:
    """Deletes a wallet with its balances, history, devices and undelivered messages. Its open proposals expire as all do.

    The same keys may register again: all but the devices comes back from the record of the chain.

    Raises:
        WalletNotFound: there is no such wallet.
    """
    lock_ledger(connection)  # so neither the sync nor a load writes this wallet now
    if not lock_wallet(connection, wallet_id):  # so no device registers with it now
        raise WalletNotFound
    for statement in (FORGET, UNCLAIM, *DELETE_OWNED, DELETE_WALLET, DELETE_MESSAGES):
        execute(connection, statement, wallet_id)
