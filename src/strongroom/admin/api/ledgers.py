"""Who the caller is, and which ledgers there are."""

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from strongroom.admin.api import access
from strongroom.admin.api.wire import (
    IdentityView,
    LedgerView,
    MeView,
    away_view,
    components_of,
)
from strongroom.admin.estate import Authority, Estate
from strongroom.core.http.route_access import needs


class LedgersController(Controller):
    path = "/admin/v1"
    tags = ("Ledgers",)

    @get("/me", summary="Who the caller is", opt=needs(access.ANY))
    async def me(self, authority: NamedDependency[Authority]) -> MeView:
        """The caller's name and scopes on each ledger where its token stands."""
        return MeView(
            ledgers=[
                IdentityView(ledger=name, principal=one.name, token=one.token, scopes=sorted(one.scopes))
                for name, one in authority.principals.items()
            ],
            away=[away_view(name, error) for name, error in authority.away.items()],
        )

    @get("/ledgers", summary="List ledgers", opt=needs(access.READ))
    async def list_ledgers(
        self, estate: NamedDependency[Estate], authority: NamedDependency[Authority]
    ) -> list[LedgerView]:
        """Those over which the caller has authority, and those whose database does not answer."""
        return [
            _view(estate, name, is_away=name in authority.away)
            for name in estate.names
            if name in authority.principals or name in authority.away
        ]

    @get("/ledgers/{ledger:str}", summary="Show a ledger", opt=needs(access.READ))
    async def show_ledger(self, ledger: FromPath[str], estate: NamedDependency[Estate]) -> LedgerView:
        """One ledger, and how its parts are doing in the process that answers."""
        return _view(estate, ledger, is_away=False)


def _view(estate: Estate, name: str, *, is_away: bool) -> LedgerView:
    return LedgerView(
        ledger=name,
        title=estate.title_of(name),
        is_away=is_away,
        components=components_of(name, estate.health),
    )
