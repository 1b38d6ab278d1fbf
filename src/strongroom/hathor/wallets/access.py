"""Finds the wallet of a caller, and checks that the caller's token still belongs to it.

A question that only reads goes by `Database.query`: one statement for the wallet, then one for the answer. Units of work
find the wallet inside their transaction.
"""

import hmac
from collections.abc import Callable, Collection
from typing import TypeVar

from sqlalchemy import Connection, select

from strongroom.core.clock import Clock
from strongroom.core.errors import Conflict, Unauthenticated
from strongroom.core.storage.database import Database
from strongroom.core.storage.statements import MAX_IN, Statement, listed
from strongroom.hathor import tables
from strongroom.hathor.protocol.addresses import Network
from strongroom.hathor.wallets.jwt import Principal
from strongroom.hathor.wallets.registry import Wallet, WalletNotFound, find_wallet, key_address, read_wallet

T = TypeVar("T")

_wallet = tables.wallet.c
AUTH_KEYS = Statement(select(_wallet.id, _wallet.auth_xpubkey).where(listed(_wallet.id)))


class WalletNotReady(Conflict):
    """The wallet's addresses are not all derived yet."""

    code = "wallet-not-ready"

    def __init__(self) -> None:
        super().__init__("The wallet is not loaded yet")


class TokenOutdated(Unauthenticated):
    """The wallet has another authentication key than the token is bound to."""


class WalletReader:
    """Finds wallets for callers.

    Its methods raise WalletNotFound where there is no wallet of that name, TokenOutdated where the token is bound to another
    authentication key, and WalletNotReady where a ready wallet is wanted and this one is still loading.
    """

    def __init__(self, database: Database, clock: Clock, network: Network) -> None:
        self.database = database
        self._clock = clock
        self._network = network

    @property
    def now_s(self) -> int:
        return self._clock.now_ms() // 1000

    async def exists(self, wallet_id: str) -> bool:
        return await self.database.read(lambda connection: find_wallet(connection, wallet_id)) is not None

    async def known_wallet(self, principal: Principal) -> Wallet | None:
        """Finds the caller's wallet; None: there is none. Raises: TokenOutdated."""
        wallet = await read_wallet(self.database, principal.wallet_id)
        return None if wallet is None else self._admit(principal, wallet)

    async def wallet(self, principal: Principal) -> Wallet:
        """Finds the caller's wallet in any status. Raises: WalletNotFound, TokenOutdated."""
        return self._admit(principal, await read_wallet(self.database, principal.wallet_id))

    async def ready_wallet(self, principal: Principal) -> Wallet:
        """Finds the caller's wallet when it is loaded. Raises: WalletNotFound, TokenOutdated, WalletNotReady."""
        return require_ready(await self.wallet(principal))

    async def outdated(self, principals: Collection[Principal]) -> set[Principal]:
        """Those whose wallet is gone, or has another authentication key than their token is bound to."""
        wallet_ids = list({each.wallet_id for each in principals})
        keys: dict[str, str] = {}
        for start in range(0, len(wallet_ids), MAX_IN):
            keys |= dict(await self.database.query(AUTH_KEYS, wallet_ids[start : start + MAX_IN]))
        return {each for each in principals if not self._is_bound(each, keys.get(each.wallet_id))}

    def _is_bound(self, principal: Principal, auth_xpubkey: str | None) -> bool:
        if auth_xpubkey is None or principal.auth_address is None:
            return auth_xpubkey is not None
        return hmac.compare_digest(key_address(auth_xpubkey, self._network), principal.auth_address)

    async def read(self, principal: Principal, question: Callable[[Connection, Wallet], T]) -> T:
        """Answers a question of several statements on one snapshot. Raises: as `ready_wallet`."""

        def work(connection: Connection) -> T:
            return question(connection, self.ready(connection, principal))

        return await self.database.read(work)

    def ready(self, connection: Connection, principal: Principal) -> Wallet:
        """As `ready_wallet`, inside a unit of work."""
        return require_ready(self.checked(connection, principal))

    def known(self, connection: Connection, principal: Principal) -> Wallet | None:
        """As `known_wallet`, inside a unit of work."""
        wallet = find_wallet(connection, principal.wallet_id)
        return None if wallet is None else self._admit(principal, wallet)

    def checked(self, connection: Connection, principal: Principal) -> Wallet:
        """As `wallet`, inside a unit of work."""
        return self._admit(principal, find_wallet(connection, principal.wallet_id))

    def _admit(self, principal: Principal, wallet: Wallet | None) -> Wallet:
        """Returns the wallet if its authentication key is still the one that the token is bound to."""
        if wallet is None:
            raise WalletNotFound
        if not self._is_bound(principal, wallet.auth_xpubkey):
            raise TokenOutdated("The wallet's authentication key was changed after the token was made")
        return wallet


def require_ready(wallet: Wallet) -> Wallet:
    """Returns the wallet if it is loaded. Raises: WalletNotReady."""
    if wallet.ready_at_s is None:
        raise WalletNotReady
    return wallet
