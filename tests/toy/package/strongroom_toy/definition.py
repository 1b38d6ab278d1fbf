"""What Strongroom knows of the toy ledger without running it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strongroom.core.environment import Environment
from strongroom.core.ledger.contract import Check, LedgerDefinition, OwnVariables
from strongroom.core.ledger.installed import Installed
from strongroom.core.ledger.surroundings import Surroundings
from strongroom.core.revisions import Revisions
from strongroom.core.security.holdings import Holdings
from strongroom_toy.settings import SURFACE, ToySettings, read_toy_settings

if TYPE_CHECKING:
    from strongroom_toy.ledger import ToyLedger


class ToyDefinition(LedgerDefinition[ToySettings, "ToyLedger"]):
    name = "toy"
    title = "Toy"
    named_by = ("TOY_NODE_URL",)
    example = "TOY_NODE_URL"
    surfaces = (SURFACE,)
    variables = OwnVariables(families=("TOY",))
    secret_files = ("toy.kek",)
    revisions = Revisions(component="toy", folder=Path(__file__).parent / "revisions")

    def read_settings(self, environment: Environment, data: Path, host: str) -> ToySettings:
        return read_toy_settings(environment, data, host)

    def make(self, settings: ToySettings, surroundings: Surroundings) -> "ToyLedger":
        from strongroom_toy.ledger import ToyLedger

        return ToyLedger(self, settings, surroundings)

    def holdings(self) -> Holdings:
        from strongroom_toy.accounts import AccountHoldings

        return AccountHoldings()

    def scopes(self) -> Mapping[str, str]:
        return {"toy:read": "read accounts and payments", "toy:account": "make accounts", "toy:pay": "pay"}

    def checks(self, installed: Installed, settings: ToySettings) -> Mapping[str, Check]:
        from strongroom_toy.doctor import toy_checks

        return toy_checks(installed, settings)

    def commands(self) -> Any:
        from strongroom_toy.commands import application

        return application


LEDGER = ToyDefinition()
