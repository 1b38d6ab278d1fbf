"""Describes the Atto ledger to the server and the commands, without importing what runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from strongroom.atto.names import SURFACES
from strongroom.core.ledger.contract import Coin, LedgerDefinition, OwnVariables
from strongroom.core.revisions import Revisions

if TYPE_CHECKING:
    from strongroom.atto.ledger import AttoLedger
    from strongroom.atto.settings import AttoSettings
    from strongroom.core.advice import Chapter
    from strongroom.core.described import Subject
    from strongroom.core.environment import Environment
    from strongroom.core.guard.vocabulary import Vocabulary
    from strongroom.core.ledger.contract import Check
    from strongroom.core.ledger.installed import Installed
    from strongroom.core.ledger.surroundings import Surroundings
    from strongroom.core.security.holdings import Holdings
    from strongroom.core.storage.adoption.original import Original

REVISIONS = Revisions(component="atto", folder=Path(__file__).parent / "revisions")


class AttoDefinition(LedgerDefinition["AttoSettings", "AttoLedger"]):
    """The Atto ledger, as `core.ledger.contract` describes a ledger."""

    name = "atto"
    title = "Atto"
    coin = Coin("ATTO", 9)
    named_by = ("NODE_BASE_URL",)
    example = "NETWORK and NODE_BASE_URL"
    surfaces = SURFACES
    variables = OwnVariables(
        families=("ATTO", "CALLBACK", "CHA"),
        others=(
            "STRONGROOM_ATTO_URL",
            "STRONGROOM_ATTO_TOKEN",
            "SANDBOX_ATTO_NODE_PORT",
            "SANDBOX_ATTO_WORK_PORT",
            "ATTO_WORK_QUEUE_SIZE",  # read by a work server
        ),
        obsolete={
            "SPRING_R2DBC_URL": "ATTO_DB_HOST, with ATTO_DB_PORT and ATTO_DB_NAME,",
            "SPRING_R2DBC_USERNAME": "ATTO_DB_USER",
            "SPRING_R2DBC_PASSWORD": "ATTO_DB_PASSWORD",
            "SPRING_DATASOURCE_URL": "ATTO_DB_HOST, with ATTO_DB_PORT and ATTO_DB_NAME,",
            "SPRING_DATASOURCE_USERNAME": "ATTO_DB_USER",
            "SPRING_DATASOURCE_PASSWORD": "ATTO_DB_PASSWORD",
            "ATTO_NODE_BASE_URL": "NODE_BASE_URL",
            "ATTO_WORK_BASE_URL": "WORK_BASE_URL",
            "ATTO_CALLBACK_URL": "CALLBACK_URL",
        },
        all_set={"ATTO_DB_HOST": "x"},
    )
    secret_files = ("atto.kek",)
    described_commands: ClassVar[Mapping[str, str]] = {
        "atto": "Scans of a running Atto service; accounts beside the node's; wallets' keys.",
        "demo": "Create a wallet, fund it from the faucet, watch it arrive, send, list the history.",
    }
    revisions = REVISIONS

    def read_settings(self, environment: Environment, data: Path, host: str) -> AttoSettings:
        from strongroom.atto.settings import read_atto_settings

        return read_atto_settings(environment, data, host)

    def explained_variables(self) -> Sequence[Subject]:
        from strongroom.atto.variables import SUBJECTS

        return SUBJECTS

    def advice(self) -> Chapter:
        from strongroom.atto.advice import CHAPTER

        return CHAPTER

    def engines(self) -> Mapping[str, str]:
        from strongroom.atto.gateway.work_engines import load_engine

        return {"proof of work": load_engine().name}

    def make(self, settings: AttoSettings, surroundings: Surroundings) -> AttoLedger:
        from strongroom.atto.ledger import AttoLedger

        return AttoLedger(self, settings, surroundings)

    def holdings(self) -> Holdings:
        from strongroom.atto.wallets.holdings import WalletHoldings

        return WalletHoldings()

    def original(self) -> Original:
        from strongroom.atto.original import AttoWalletServer

        return AttoWalletServer()

    def other_receivers(self, settings: AttoSettings) -> Mapping[str, str]:
        from strongroom.core.http.outbound.targets import shown_url

        return {} if settings.callback_url is None else {"CALLBACK_URL": shown_url(settings.callback_url)}

    def events(self) -> Mapping[str, str]:
        from strongroom.atto.history.events import EVENTS

        return EVENTS

    def scopes(self) -> Mapping[str, str]:
        from strongroom.atto.scopes import SCOPES
        from strongroom.core.guard.rule import approval_scope

        return {**SCOPES, **approval_scope(self.name)}

    def network_id(self, payment_id: bytes) -> str:
        return payment_id.hex().upper()

    def vocabulary(self) -> Vocabulary:
        from strongroom.atto.protocol import Address, BlockType
        from strongroom.core.guard.vocabulary import Payloads, Vocabulary
        from strongroom.core.security.policy import EXPORT

        def path(address: str) -> str:
            return Address.parse(address).path

        return Vocabulary(
            kinds=frozenset(one.name for one in BlockType) | {EXPORT},
            principals=("token:", "system:", "anonymous"),
            payloads=Payloads(paying_kinds="SEND", pays_several=False, hides_amounts=False),
            normalized_destination=path,
            normalized_account=path,
        )

    def checks(self, installed: Installed, settings: AttoSettings) -> Mapping[str, Check]:
        from strongroom.atto.commands.doctor import atto_checks

        return atto_checks(installed, settings)

    def commands(self) -> Any:
        from strongroom.atto.commands.scans import application

        return application

    def root_commands(self) -> Mapping[str, Callable[[], Callable[..., Any]]]:
        def load_demo() -> Callable[..., Any]:
            from strongroom.atto.commands.demo import demo

            return demo

        return {"demo": load_demo}


LEDGER = AttoDefinition()
