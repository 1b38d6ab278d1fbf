"""Gives the secret of a key in the vault out, after others approved it.

The approval is spent, and the audit row written, in one transaction before the secret leaves the service. So it is answered once:
whoever loses the answer asks for another approval. Keys in a folder of wallets are not given out: they lie there.
"""

import hashlib
from dataclasses import replace

from sqlalchemy import Connection

from strongroom.bittensor.authorization.key_use import early_use
from strongroom.bittensor.authorization.limits import EXPORT as SCOPE
from strongroom.bittensor.authorization.token_rules import require_use
from strongroom.bittensor.keystore.holdings import held_row
from strongroom.bittensor.keystore.names import Signer
from strongroom.bittensor.keystore.vault_keys import load_key, open_key
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.core.errors import NotFound
from strongroom.core.security.access import Principal
from strongroom.core.security.bindings import Bindings
from strongroom.core.security.policy import EXPORT, SigningGate
from strongroom.core.security.vault import Vault
from strongroom.core.storage.database import Database


class Exports:
    """The secrets that leave the service."""

    def __init__(self, database: Database, vault: Vault, bindings: Bindings, gate: SigningGate) -> None:
        self._database = database
        self._vault = vault
        self._bindings = bindings
        self._gate = gate

    async def export(self, principal: Principal, signer: Signer) -> Keypair:
        """The key pair of a key in the vault.

        Raises:
            InvalidInput: the names are not valid.
            NotFound: the vault does not have its secret.
            VaultError: another key-encryption key sealed it, or its row was altered.
            ApprovalNeeded: somebody else must approve it first; it waits.
            Forbidden: the token does not name the scope or does not reach the key, or a rule or a freeze refuses it.
        """
        key = signer.key
        require_use(early_use(principal, SCOPE, signer, kind=EXPORT))

        def work(connection: Connection) -> Keypair:
            stored = load_key(connection, key)
            if stored is None or stored.sealed_secret is None:
                raise NotFound(f"The vault has no secret of {key}", code="key_not_found")
            self._bindings.require(connection, held_row(stored))
            request = replace(
                early_use(principal, SCOPE, signer, kind=EXPORT, address=stored.public.address),
                payload_hash=hashlib.sha256(str(key).encode()).digest(),
                content_hash=b"",
                is_amount_known=False,
                facts={"key": str(key)},
            )
            with self._gate.release(connection, request):
                return open_key(self._vault, stored)

        return await self._gate.write(self._database, work)
