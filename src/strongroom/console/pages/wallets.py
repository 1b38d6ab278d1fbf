"""Wallets of all ledgers: found by a part of the name or by an address, what each holds, its accounts and its history."""

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from litestar import Controller, Request, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Template

from strongroom.admin.api.access import WALLETS
from strongroom.admin.api.wallets.listing import WalletsController
from strongroom.admin.api.wallets.one import WalletController
from strongroom.admin.api.wallets.views import AccountPage, HistoryPage, WalletPage, WalletView
from strongroom.console.pages.queries import asked_of, ledger_of
from strongroom.console.viewer import Section, Viewer
from strongroom.core.errors import InvalidInput
from strongroom.core.http.route_access import needs

SECTION: Final = Section(title="Wallets", path="/wallets", scope=WALLETS)
ONE: Final = "/wallets/one"
LIMIT: Final = 50
LINES: Final = 25
"""Of accounts and of history, which are on one page."""
KEYS: Final = {
    "held": "held here",
    "locked": "locked: its owner unlocks it",
    "watched": "not here: its owner signs",
}
AnyRequest = Request[Any, Any, Any]
Text = Annotated[str, QueryParameter(required=False, max_length=300)]


class WalletsPages(Controller):
    @get("/wallets", opt=needs(WALLETS) | {"query": ("ledger", "search", "cursor")})
    async def show(self, request: AnyRequest, viewer: NamedDependency[Viewer]) -> Template:
        asked = asked_of(request)
        page: WalletPage = await viewer.call(
            WalletsController.page,
            search=asked.get("search", ""),
            cursor=asked.get("cursor"),
            limit=LIMIT,
            **ledger_of(asked),
        )
        return viewer.page(
            "wallets/list.html",
            page=page,
            asked=asked,
            keys=KEYS,
            one=lambda found: _address(ledger=found.ledger, id=found.id),
            next=None if page.cursor is None else f"/wallets?{urlencode({**asked, 'cursor': page.cursor})}",
        )

    @get(ONE, opt=needs(WALLETS) | {"query": ("ledger", "id", "asset", "accounts", "cursor")})
    async def one(
        self,
        viewer: NamedDependency[Viewer],
        on: Annotated[str, QueryParameter(name="ledger", required=False)] = "",
        wallet: Annotated[str, QueryParameter(name="id", required=False, max_length=300)] = "",
        asset: Text = "",
        accounts: Text = "",
        cursor: Text = "",
    ) -> Template:
        """`accounts` is the place in the list of accounts, `cursor` the one in the history of `asset`."""
        if not on or not wallet:
            raise InvalidInput("Nothing was asked for: choose a wallet in the list")
        shown: WalletView = await viewer.call(WalletController.show, on, wallet=wallet)
        held: AccountPage = await viewer.call(
            WalletController.accounts, on, wallet=wallet, cursor=accounts or None, limit=LINES
        )
        history: HistoryPage = await viewer.call(
            WalletController.history, on, wallet=wallet, asset=asset, cursor=cursor or None, limit=LINES
        )
        kept = {"ledger": on, "id": wallet, "asset": asset, "accounts": accounts, "cursor": cursor}
        return viewer.page(
            "wallets/one.html",
            shown=shown,
            asset=asset,
            keys=KEYS,
            accounts=held.accounts,
            history=history.history,
            of_asset=lambda each: _address(ledger=on, id=wallet, asset=each),
            more_accounts=held.cursor and _address(**kept | {"accounts": held.cursor}),
            earlier=history.cursor and _address(**kept | {"cursor": history.cursor}),
        )


def _address(**query: str) -> str:
    return f"{ONE}?{urlencode({name: value for name, value in query.items() if value})}"


CONTROLLERS: Final = (WalletsPages,)
