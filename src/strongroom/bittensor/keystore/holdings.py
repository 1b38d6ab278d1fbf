"""Lists the sealed values of the Bittensor ledger's database: the secret of each imported key."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, bindparam, update

from strongroom.bittensor import tables
from strongroom.bittensor.keystore.vault_keys import StoredKey, is_key, load_keys
from strongroom.bittensor.protocol.extrinsics import KEY_BYTES
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.core.errors import VaultError
from strongroom.core.security.bindings import HeldRow, Kind
from strongroom.core.security.holdings import Holdings
from strongroom.core.security.keys.ring import KeyRing

KEYS: Final = Kind(
    table="strongroom_bittensor_key",
    columns=("public_key", "sealed_secret"),
    noun="Key",
    actions=("key.import", "key.remove"),
)


_key = tables.key.c
_RESEAL = (
    update(tables.key)
    .where(
        _key.wallet == bindparam("of_wallet"),
        _key.kind == bindparam("of_kind"),
        _key.name == bindparam("of_name"),
        _key.sealed_secret == bindparam("old"),
    )
    .values(sealed_secret=bindparam("new"))
)


class KeyHoldings(Holdings):
    kind = KEYS

    def rows(
        self,
        connection: Connection,
        *,
        in_full: bool = False,
        names: Collection[str] | None = None,
        lock: bool = False,
    ) -> Sequence[HeldRow]:
        del in_full  # the row itself names the public key
        wallets = {name.partition("/")[0] for name in names or ()}
        found = load_keys(connection, *wallets, lock=lock)
        return [held_row(one) for one in found if names is None or str(one.key) in names]

    def problem(self, ring: KeyRing, row: HeldRow) -> str | None:
        public_key, sealed_secret = row.values
        if sealed_secret is None:
            return None
        try:
            keypair = Keypair(ring.unseal(sealed_secret))
        except (VaultError, ValueError):
            return "does not open with this key-encryption key"
        address = (public_key or b"")[:KEY_BYTES]
        return None if keypair.public_key == address else "holds the secret of another address"

    def replace(self, connection: Connection, changes: Sequence[tuple[HeldRow, bytes]]) -> None:
        wallets = {row.name.partition("/")[0] for row, _ in changes}
        names = {str(one.key): one.key for one in load_keys(connection, *wallets)}
        connection.execute(
            _RESEAL,
            [
                {
                    "of_wallet": names[row.name].wallet,
                    "of_kind": names[row.name].kind,
                    "of_name": names[row.name].name,
                    "old": row.values[-1],
                    "new": sealed,
                }
                for row, sealed in changes
                if row.name in names
            ],
        )

    def give_up(self, connection: Connection, row: HeldRow) -> HeldRow:
        """Removes the sealed secret. The row keeps the address, and the key can be imported again."""
        found = next(one for one in load_keys(connection) if str(one.key) == row.name)
        connection.execute(update(tables.key).where(*is_key(found.key)).values(sealed_secret=None))
        return held_row(replace(found, sealed_secret=None))


def held_row(stored: StoredKey) -> HeldRow:
    """The row as it is bound. For whom a proxy calls is bound together with its own public key."""
    whose, delegation = stored.public_key, stored.delegation
    if delegation is not None:
        whose += delegation.real + delegation.proxy_type.encode()
    return HeldRow(name=str(stored.key), values=(whose, stored.sealed_secret))
