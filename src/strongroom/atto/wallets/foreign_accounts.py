"""Finds accounts whose addresses are not those of their wallets' keys: an address that is shown to payers may be another's.

The keys of locked wallets are not here, so their accounts are not looked at.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from strongroom.atto import tables
from strongroom.atto.protocol import AccountKeys, Address, Mnemonic
from strongroom.core.errors import StrongroomError
from strongroom.core.security.custody.custody import Custody
from strongroom.core.security.keys.ring import KeyRing
from strongroom.core.security.vault import open_sealed
from strongroom.core.storage.database import Database
from strongroom.core.transparency.inspection import Finding

CODE: Final = "account_altered"
Accounts = Mapping[str, set[tuple[int, str]]]
"""Indexes and addresses by wallet."""


async def foreign_accounts(database: Database, custody: Custody | None) -> list[Finding]:
    """Derives the address of each account of unlocked wallets; the ring was opened if it can be."""
    if custody is None or not custody.ring.is_open:
        return []
    wallets, accounts = await database.read(_load)
    return await asyncio.to_thread(_find, custody.ring, wallets, accounts)


def _load(connection: Connection) -> tuple[Sequence[Row[Any]], Accounts]:
    wallets = connection.execute(select(tables.wallet)).all()
    accounts: dict[str, set[tuple[int, str]]] = defaultdict(set)
    for table in (tables.account, tables.chain):
        columns = table.c
        for row in connection.execute(select(columns.wallet_name, columns.account_index, columns.address)):
            accounts[row.wallet_name].add((row.account_index, row.address))
    return wallets, accounts


def _find(ring: KeyRing, wallets: Sequence[Row[Any]], accounts: Accounts) -> list[Finding]:
    found = []
    for wallet in wallets:
        if wallet.encrypted_encryption_key is None:
            continue
        try:
            key = ring.unseal(wallet.encrypted_encryption_key)
            keys = AccountKeys(Mnemonic.from_entropy(open_sealed(key, wallet.encrypted_entropy)).seed())
        except StrongroomError:
            continue  # the wallet's row was altered, which is found by its tag
        for index, address in sorted(accounts.get(wallet.name, ())):
            if Address(public_key=keys.public_key(index)).path != address:
                detail = f"The account {address} is not account {index} of wallet {wallet.name}: its key gives another address"
                found.append(Finding(code=CODE, detail=detail))
    return found
