"""Lists the sealed values of the Bittensor ledger's database: the secret of each imported key."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, update

from strongroom.bittensor import tables
from strongroom.bittensor.keystore.vault_keys import StoredKey, is_key, load_keys
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.core.errors import VaultError
from strongroom.core.security.bindings import HeldRow, Kind
from strongroom.core.security.holdings import Holdings
from strongroom.core.security.vault import KeyEncryptionKey, open_sealed

KEYS: Final = Kind(
    table="strongroom_bittensor_key",
    columns=("public_key", "sealed_secret"),
    noun="Key",
    actions=("key.import", "key.remove"),
)


class KeyHoldings(Holdings):
    kind = KEYS

    def rows(self, connection: Connection, *, in_full: bool = False) -> Sequence[HeldRow]:
        del in_full  # the row itself names the public key
        return [held_row(one) for one in load_keys(connection)]

    def problem(self, key: KeyEncryptionKey, row: HeldRow) -> str | None:
        public_key, sealed_secret = row.values
        if sealed_secret is None:
            return None
        try:
            keypair = Keypair(open_sealed(key.reveal(), sealed_secret))
        except (VaultError, ValueError):
            return "does not open with this key-encryption key"
        return None if keypair.public_key == public_key else "holds the secret of another address"

    def give_up(self, connection: Connection, row: HeldRow) -> HeldRow:
        """Removes the sealed secret. The row keeps the address, and the key can be imported again."""
        found = next(one for one in load_keys(connection) if str(one.key) == row.name)
        connection.execute(update(tables.key).where(*is_key(found.key)).values(sealed_secret=None))
        return HeldRow(name=row.name, values=(found.public_key, None))


def held_row(stored: StoredKey) -> HeldRow:
    return HeldRow(name=str(stored.key), values=(stored.public_key, stored.sealed_secret))
