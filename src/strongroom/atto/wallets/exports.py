"""Gives the mnemonic of a wallet out, after others approved it.

The approval is spent, and the audit row written, in one transaction before the mnemonic leaves the service. So it is answered once:
whoever loses the answer asks for another approval. It is stored nowhere in the clear.
"""

import hashlib
from typing import Final

from sqlalchemy import Connection

from strongroom.atto.protocol import AccountKeys, Mnemonic
from strongroom.atto.wallets.holdings import require_own_accounts
from strongroom.atto.wallets.keyring import Keyring, sealed_key_of
from strongroom.atto.wallets.rows import load_locked
from strongroom.core.security.access import EXPORT_RIGHT, Principal
from strongroom.core.security.policy import EXPORT, SignatureRequest, SigningGate
from strongroom.core.storage.database import Database

SCOPE: Final = f"atto:{EXPORT_RIGHT}"


class Exports:
    """The mnemonics that leave the service."""

    def __init__(self, database: Database, keyring: Keyring, gate: SigningGate) -> None:
        self._database = database
        self._keyring = keyring
        self._gate = gate

    async def export(self, principal: Principal, name: str) -> Mnemonic:
        """The mnemonic of an unlocked wallet.

        Raises:
            NotFound, Locked, VaultError, Conflict: of the wallet.
            ApprovalNeeded: somebody else must approve it first; it waits.
            Forbidden: the token does not name the scope, or a rule or a freeze refuses it.
        """
        principal.require(SCOPE)
        request = SignatureRequest(
            principal=principal,
            scope=SCOPE,
            account=name,
            kind=EXPORT,
            wallet=name,
            payload_hash=hashlib.sha256(name.encode()).digest(),
            is_amount_known=False,
            content_hash=b"",
        )

        def work(connection: Connection) -> Mnemonic:
            wallet = load_locked(connection, name)
            sealed_key_of(wallet)
            self._keyring.require_unaltered(connection, wallet)
            with self._gate.release(connection, request):
                mnemonic = self._keyring.unlocked(wallet)
                require_own_accounts(connection, name, AccountKeys(mnemonic.seed()))
                return mnemonic

        return await self._gate.write(self._database, work)
