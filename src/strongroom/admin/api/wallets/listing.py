"""Wallets of all ledgers in one list, ledger by ledger."""

from typing import Annotated

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from strongroom.admin.api import access
from strongroom.admin.api.cursors import decode_places, encode_places, no_cursor
from strongroom.admin.api.pages import Cursor, OneLedger, asked
from strongroom.admin.api.wallets.views import WalletPage, WalletView
from strongroom.admin.api.wire import away_view
from strongroom.admin.estate import Authority, Estate
from strongroom.core.errors import Unavailable
from strongroom.core.http.route_access import needs
from strongroom.core.ledger.browsing.browser import MAX_PAGE, MAX_SEARCH
from strongroom.core.ledger.browsing.documents import wallet_document

Search = Annotated[
    str,
    QueryParameter(
        required=False,
        max_length=MAX_SEARCH,
        description="A part of the name, or exactly an account, an address or a key",
    ),
]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE, description="The most wallets on a page")]


class WalletsController(Controller):
    path = "/admin/v1/wallets"
    tags = ("Wallets",)

    @get(
        summary="Page through wallets",
        opt=needs(access.WALLETS) | {"query": ("ledger", "search", "cursor", "limit")},
    )
    async def page(
        self,
        estate: NamedDependency[Estate],
        authority: NamedDependency[Authority],
        ledger: OneLedger = None,
        search: Search = "",
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> WalletPage:
        """Of every ledger over which the caller has authority, one ledger after the other, by name.

        A page reads a bounded number of rows, however many wallets there are.
        """
        names, away = asked(estate, authority, ledger)
        places = decode_places(cursor)
        if places:
            names = _from(names, next(iter(places)))
        found, following, has_asked = list[WalletView](), None, False
        for name in names:
            room = limit - len(found)
            if not room:
                following = {name: ""}
                break
            try:
                browser = estate.find(name).browser()
                page = await browser.page(search, places.get(name, ""), room)
            except Unavailable as error:
                away[name] = error
                continue
            has_asked = True
            found += [msgspec.convert(wallet_document(name, one), WalletView) for one in page.items]
            if page.after is not None:
                following = {name: page.after}
                break
        if not has_asked and away:
            raise next(iter(away.values()))
        return WalletPage(
            wallets=found,
            cursor=None if following is None else encode_places(following),
            away=[away_view(name, error) for name, error in away.items()],
        )


def _from(names: list[str], first: str) -> list[str]:
    """Raises: InvalidInput: the list has no such ledger."""
    if first not in names:
        raise no_cursor()
    return names[names.index(first) :]
