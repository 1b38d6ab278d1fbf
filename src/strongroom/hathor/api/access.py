"""Who calls."""

from strongroom.core.storage.database import Database
from strongroom.hathor.wallets.access import WalletReader
from strongroom.hathor.wallets.jwt import Principal
from strongroom.hathor.wallets.registry import Wallet


class Caller:
    """The holder of a token, and the wallet that the token is for."""

    def __init__(self, principal: Principal, reader: WalletReader, source: str, request_id: str = "") -> None:
        """`source`: where the request came from, as `core.http.forwarded` names clients. `request_id`: empty if it has none."""
        self.principal = principal
        self.source = source
        self.request_id = request_id
        self._reader = reader

    @property
    def wallet_id(self) -> str:
        return self.principal.wallet_id

    @property
    def database(self) -> Database:
        return self._reader.database

    @property
    def now_s(self) -> int:
        return self._reader.now_s

    async def wallet(self) -> Wallet:
        """In whatever status. Raises: WalletNotFound, TokenOutdated."""
        return await self._reader.wallet(self.principal)

    async def ready_wallet(self) -> Wallet:
        """Raises: WalletNotFound, TokenOutdated, WalletNotReady."""
        return await self._reader.ready_wallet(self.principal)

    async def known_wallet(self) -> Wallet | None:
        """None: there is none of this id. Raises: TokenOutdated."""
        return await self._reader.known_wallet(self.principal)
