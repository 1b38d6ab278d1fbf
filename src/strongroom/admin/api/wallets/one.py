"""One wallet of a ledger: what it holds, its accounts and its history."""

from typing import Annotated

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from strongroom.admin.api import access
from strongroom.admin.api.cursors import decode_places, encode_places, no_cursor
from strongroom.admin.api.pages import Cursor
from strongroom.admin.api.wallets.views import AccountPage, AccountView, EventView, HistoryPage, WalletView
from strongroom.admin.estate import Estate
from strongroom.core.http.route_access import needs
from strongroom.core.ledger.browsing.browser import MAX_PAGE
from strongroom.core.ledger.browsing.documents import event_document, part_document, wallet_document

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE, description="The most lines on a page")]
Asset = Annotated[
    str,
    QueryParameter(
        required=False, max_length=100, description="Of this asset; by default of the ledger's own coin"
    ),
]


class WalletController(Controller):
    path = "/admin/v1/ledgers/{ledger:str}/wallets/{wallet:str}"
    tags = ("Wallets",)

    @get(summary="Show a wallet", opt=needs(access.WALLETS))
    async def show(
        self, ledger: FromPath[str], wallet: FromPath[str], estate: NamedDependency[Estate]
    ) -> WalletView:
        """With what it holds altogether."""
        found = await estate.find(ledger).browser().show(wallet)
        return msgspec.convert(wallet_document(ledger, found), WalletView)

    @get(
        "/accounts",
        summary="Page through a wallet's accounts",
        opt=needs(access.WALLETS) | {"query": ("cursor", "limit")},
    )
    async def accounts(
        self,
        ledger: FromPath[str],
        wallet: FromPath[str],
        estate: NamedDependency[Estate],
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> AccountPage:
        """Its accounts, addresses or keys, in their order."""
        page = await estate.find(ledger).browser().parts(wallet, _place(ledger, cursor), limit)
        return AccountPage(
            accounts=[msgspec.convert(part_document(one), AccountView) for one in page.items],
            cursor=_cursor(ledger, page.after),
        )

    @get(
        "/history",
        summary="Page through a wallet's history",
        opt=needs(access.WALLETS) | {"query": ("asset", "cursor", "limit")},
    )
    async def history(
        self,
        ledger: FromPath[str],
        wallet: FromPath[str],
        estate: NamedDependency[Estate],
        asset: Asset = "",
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> HistoryPage:
        """What changed its holdings of one asset, the newest first."""
        page = await estate.find(ledger).browser().history(wallet, asset, _place(ledger, cursor), limit)
        return HistoryPage(
            history=[msgspec.convert(event_document(one), EventView) for one in page.items],
            cursor=_cursor(ledger, page.after),
        )


def _place(ledger: str, cursor: str | None) -> str:
    """Raises: InvalidInput: it is no cursor of this ledger."""
    places = decode_places(cursor)
    if cursor is not None and ledger not in places:
        raise no_cursor()
    return places.get(ledger, "")


def _cursor(ledger: str, after: str | None) -> str | None:
    return None if after is None else encode_places({ledger: after})
