"""The questions that operators ask of a ledger's wallets."""

from typing import Final, Protocol

from strongroom.core.errors import NotFound
from strongroom.core.ledger.browsing.records import EventRecord, Page, PartRecord, WalletRecord

MAX_PAGE: Final = 100
MAX_SEARCH: Final = 300
"""Letters: as long as the longest name of a wallet, and longer than any address."""
MAX_PARTS: Final = 1_000
"""A page of wallets looks at so many accounts, addresses or keys of each."""
MAX_HOLDINGS: Final = 10
"""A page shows so many assets of a thing, the ledger's own coin first."""


class WalletBrowser(Protocol):
    """A ledger's wallets. It needs the prepared database, and no node, no keys and no loop.

    A page reads a bounded number of rows, whatever the tables hold, and `after` is what the page before gave, or empty.

    Each method raises InvalidInput where `after` is none of its places, and, of one wallet, NotFound where there is none.
    """

    async def page(self, search: str, after: str, limit: int) -> Page[WalletRecord]:
        """Wallets by name. `search` (empty: all): a part of the name, or exactly an account, an address or a key."""

    async def show(self, wallet: str) -> WalletRecord:
        """The wallet of exactly this name, with what it holds altogether."""

    async def parts(self, wallet: str, after: str, limit: int) -> Page[PartRecord]:
        """Its accounts, addresses or keys, in their order."""

    async def history(self, wallet: str, asset: str, after: str, limit: int) -> Page[EventRecord]:
        """What happened to its holdings of one asset (empty: the ledger's own coin), the newest first."""


class NoWallets:
    """Of a ledger that does not show its wallets."""

    async def page(self, search: str, after: str, limit: int) -> Page[WalletRecord]:
        del search, after, limit
        return Page(items=(), after=None)

    async def show(self, wallet: str) -> WalletRecord:
        raise no_wallet(wallet)

    async def parts(self, wallet: str, after: str, limit: int) -> Page[PartRecord]:
        del after, limit
        raise no_wallet(wallet)

    async def history(self, wallet: str, asset: str, after: str, limit: int) -> Page[EventRecord]:
        del asset, after, limit
        raise no_wallet(wallet)


def no_wallet(name: str) -> NotFound:
    return NotFound(f"This ledger has no wallet {name[:MAX_SEARCH]!r}", code="wallet_not_found")
