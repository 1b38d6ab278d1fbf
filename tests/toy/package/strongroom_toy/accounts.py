"""Accounts: their keys are made here, sealed in the vault, and opened only to sign."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, select, update

from strongroom.core.clock import Entropy
from strongroom.core.errors import NotFound, VaultError
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.bindings import Bindings, HeldRow, Kind
from strongroom.core.security.holdings import Holdings
from strongroom.core.security.keys.ring import KeyRing
from strongroom.core.security.vault import Vault
from strongroom.core.storage.database import Database, locking
from strongroom_toy import tables
from strongroom_toy.protocol import Key

SEED_BYTES = 32
ACCOUNTS: Final = Kind(
    table="toy_account", columns=("sealed_seed",), noun="Account", actions=("account.create",)
)


class AccountHoldings(Holdings):
    """With it doctor, `strongroom keys` and the watch over the key work."""

    kind = ACCOUNTS

    def rows(
        self,
        connection: Connection,
        *,
        in_full: bool = False,
        names: Collection[str] | None = None,
        lock: bool = False,
    ) -> Sequence[HeldRow]:
        del in_full  # a row says itself whose seed it holds
        query = select(tables.account).order_by(tables.account.c.address)
        found = connection.execute(locking(query) if lock else query)
        return [held_row(row) for row in found if names is None or row.address in names]

    def problem(self, ring: KeyRing, row: HeldRow) -> str | None:
        sealed = row.values[0]
        if sealed is None:
            return None
        try:
            seed = ring.unseal(sealed)
        except VaultError:
            return "does not open with this key-encryption key"
        return None if Key(seed).address == row.name else "holds the seed of another address"

    def replace(self, connection: Connection, changes: Sequence[tuple[HeldRow, bytes]]) -> None:
        columns = tables.account.c
        for row, sealed in changes:
            connection.execute(
                update(tables.account)
                .where(columns.address == row.name, columns.sealed_seed == row.values[0])
                .values(sealed_seed=sealed)
            )

    def give_up(self, connection: Connection, row: HeldRow) -> HeldRow:
        columns = tables.account.c
        connection.execute(update(tables.account).where(columns.address == row.name).values(sealed_seed=None))
        return HeldRow(name=row.name, values=(None,))


def held_row(row: Row[Any]) -> HeldRow:
    return HeldRow(name=row.address, values=(row.sealed_seed,))


def lock_account(connection: Connection, address: str) -> Row[Any]:
    """The account's row, which no other transaction reads until this one ends. Raises: NotFound."""
    query = locking(select(tables.account).where(tables.account.c.address == address))
    row = connection.execute(query).first()
    if row is None:
        raise NotFound(f"There is no account {address}")
    return row


class Accounts:
    def __init__(
        self, *, database: Database, vault: Vault, bindings: Bindings, audit: Audit, entropy: Entropy
    ) -> None:
        self._database = database
        self._vault = vault
        self._bindings = bindings
        self._audit = audit
        self._entropy = entropy

    async def create(self, principal: Principal) -> str:
        """The address of a new account."""
        principal.require("toy:account")
        seed = self._entropy.token(SEED_BYTES)
        address, sealed = Key(seed).address, self._vault.seal(seed)

        def work(connection: Connection) -> None:
            row = {"address": address, "sealed_seed": sealed, "next_number": 0}
            connection.execute(tables.account.insert(), row)
            sequence = self._audit.append(connection, principal, "account.create", address)
            self._bindings.bind(connection, [HeldRow(name=address, values=(sealed,))], sequence)

        await self._database.write(work)
        return address

    def open_key(self, connection: Connection, row: Row[Any]) -> Key:
        """Raises: VaultError: the row was altered, or sealed under another key."""
        self._bindings.require(connection, held_row(row))
        if row.sealed_seed is None:
            raise VaultError(f"The seed of {row.address} was given up")
        return Key(self._vault.open(row.sealed_seed))
