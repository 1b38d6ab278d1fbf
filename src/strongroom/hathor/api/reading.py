"""Reads a wallet's rows for a caller: the wallet first, then what was asked for, on one snapshot."""

import hmac
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from strongroom.core.clock import Clock
from strongroom.core.database import Database
from strongroom.hathor.api.refusal import Refusal, unauthorized, wallet_not_found
from strongroom.hathor.protocol.addresses import Network
from strongroom.hathor.tokens import Principal
from strongroom.hathor.wallets import Wallet, find_wallet, key_address

T = TypeVar("T")


class Reader:
    """Two statements for most questions: the wallet's row, and the answer."""

    def __init__(self, database: Database, clock: Clock, network: Network) -> None:
        self._database = database
        self._clock = clock
        self._network = network

    @property
    def now_s(self) -> int:
        return self._clock.now_ms() // 1000

    async def wallet(self, principal: Principal) -> Wallet:
        """Raises: Refusal."""
        return await self._database.read(lambda connection: self.checked(connection, principal))

    async def read(self, principal: Principal, question: Callable[[Connection, Wallet], T]) -> T:
        """Asks for a wallet that is ready. Raises: Refusal."""

        def work(connection: Connection) -> T:
            return question(connection, self.ready(connection, principal))

        return await self._database.read(work)

    def ready(self, connection: Connection, principal: Principal) -> Wallet:
        """The caller's wallet when it is loaded. Raises: Refusal."""
        wallet = self.checked(connection, principal)
        if wallet.ready_at_s is None:
            raise Refusal(400, "wallet-not-ready")
        return wallet

    def checked(self, connection: Connection, principal: Principal) -> Wallet:
        """The caller's wallet, if its authentication key is still the token's. Raises: Refusal."""
        wallet = find_wallet(connection, principal.wallet_id)
        if wallet is None:
            raise wallet_not_found()
        if principal.auth_address is not None:
            current = key_address(wallet.auth_xpubkey, self._network)
            if not hmac.compare_digest(current, principal.auth_address):
                raise unauthorized()
        return wallet
