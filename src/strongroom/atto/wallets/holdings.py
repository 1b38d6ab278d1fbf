"""The sealed values in the Atto database: each wallet's entropy, and the wallet key that opens it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, func, select, update

from strongroom.atto import tables
from strongroom.atto.protocol import AccountKeys, Address, Mnemonic, ProtocolError
from strongroom.atto.records import WALLET_COLUMNS, WalletRecord, wallet_records
from strongroom.core.errors import Conflict, VaultError
from strongroom.core.security.bindings import HeldRow, Kind
from strongroom.core.security.holdings import Holdings
from strongroom.core.security.keys.ring import KeyRing
from strongroom.core.security.vault import open_sealed
from strongroom.core.storage.database import locking

WALLETS: Final = Kind(
    table="wallet",
    columns=("encrypted_entropy", "encrypted_encryption_key"),
    noun="Wallet",
    actions=("wallet.create", "wallet.import", "wallet.lock", "wallet.unlock", "wallet.rekey"),
)


_RESEAL = (
    update(tables.wallet)
    .where(
        tables.wallet.c.name == bindparam("wallet"),
        tables.wallet.c.encrypted_encryption_key == bindparam("old"),
    )
    .values(encrypted_encryption_key=bindparam("new"), version=tables.wallet.c.version + 1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstAccounts:
    """The lowest account index of a wallet, and the addresses stored at this index.

    The original's tables allow two rows with one index, so there may be two addresses.
    """

    index: int
    addresses: frozenset[str]

    def are_of(self, keys: AccountKeys) -> bool:
        return Address(public_key=keys.public_key(self.index)).path in self.addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldWallet(HeldRow):
    """A wallet's sealed values, with its first accounts to check them against."""

    first: FirstAccounts | None = None


class WalletHoldings(Holdings):
    """Lists and checks the sealed values of wallets, for `strongroom keys`."""

    kind = WALLETS

    def rows(
        self,
        connection: Connection,
        *,
        in_full: bool = False,
        names: Collection[str] | None = None,
        lock: bool = False,
    ) -> Sequence[HeldWallet]:
        query = select(*WALLET_COLUMNS).order_by(tables.wallet.c.name)
        if names is not None:
            query = query.where(tables.wallet.c.name.in_(names))
        found = wallet_records(connection.execute(locking(query) if lock else query).all())
        first = first_accounts(connection) if in_full else {}
        return [
            HeldWallet(name=one.name, values=held_row(one).values, first=first.get(one.name))
            for one in found
            if names is None or one.name in names  # MySQL ignores case
        ]

    def problem(self, ring: KeyRing, row: HeldRow) -> str | None:
        entropy, sealed_key = row.values
        if sealed_key is None:
            return None
        try:
            wallet_key = ring.unseal(sealed_key)
        except VaultError:
            return "does not open with this key-encryption key"
        try:
            mnemonic = Mnemonic.from_entropy(open_sealed(wallet_key, entropy or b""))
        except (VaultError, ProtocolError):
            return "has a key that does not open its entropy: the two are not of one wallet"
        first = row.first if isinstance(row, HeldWallet) else None
        if first is not None and not first.are_of(AccountKeys(mnemonic.seed())):
            return f"has a mnemonic that does not give the address of its account {first.index}"
        return None

    def replace(self, connection: Connection, changes: Sequence[tuple[HeldRow, bytes]]) -> None:
        connection.execute(
            _RESEAL, [{"wallet": row.name, "old": row.values[-1], "new": sealed} for row, sealed in changes]
        )

    def give_up(self, connection: Connection, row: HeldRow) -> HeldRow:
        """Locks the wallet: removes its key, so that its owner must unlock it again."""
        columns = tables.wallet.c
        values = {"encrypted_encryption_key": None, "version": columns.version + 1}
        connection.execute(update(tables.wallet).where(columns.name == row.name).values(values))
        return HeldWallet(name=row.name, values=(row.values[0], None))


def held_row(wallet: WalletRecord) -> HeldRow:
    return HeldRow(name=wallet.name, values=(wallet.sealed_entropy, wallet.sealed_key))


def first_accounts(connection: Connection, wallet_name: str | None = None) -> dict[str, FirstAccounts]:
    """The first accounts of one wallet, or of all wallets, by the wallet's name."""
    columns = tables.account.c
    query = select(columns.wallet_name, columns.account_index, columns.address)
    if wallet_name is None:
        lowest = (
            select(columns.wallet_name, func.min(columns.account_index).label("lowest"))
            .group_by(columns.wallet_name)
            .subquery()
        )
        query = query.join(
            lowest,
            (lowest.c.wallet_name == columns.wallet_name) & (lowest.c.lowest == columns.account_index),
        )
    else:
        own = columns.wallet_name == wallet_name
        lowest_of_it = select(func.min(columns.account_index)).where(own).scalar_subquery()
        query = query.where(own, columns.account_index == lowest_of_it)
    found: dict[str, dict[int, set[str]]] = {}
    for row in connection.execute(query):
        found.setdefault(row.wallet_name, {}).setdefault(row.account_index, set()).add(row.address)
    return {
        name: FirstAccounts(index=min(by_index), addresses=frozenset(by_index[min(by_index)]))
        for name, by_index in found.items()
    }


def require_own_accounts(connection: Connection, wallet_name: str, keys: AccountKeys) -> None:
    """Makes sure that these keys are the wallet's own, by its first account.

    Raises:
        Conflict: the keys do not give the address of the wallet's first account.
    """
    first = first_accounts(connection, wallet_name).get(wallet_name)
    if first is not None and not first.are_of(keys):
        raise Conflict(
            f"Persisted account index {first.index} does not match wallet mnemonic", code="index_mismatch"
        )
