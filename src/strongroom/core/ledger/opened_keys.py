"""What of a running ledger needs the key-encryption key."""

from strongroom.core.security.bindings import Bindings
from strongroom.core.security.vault import Vault
from strongroom.core.security.watch import KeyWatch


class OpenedKeys:
    """The objects that there are once the key is open."""

    def __init__(self, vault: Vault, bindings: Bindings, watch: KeyWatch) -> None:
        self.vault = vault
        self.bindings = bindings
        self.watch = watch
