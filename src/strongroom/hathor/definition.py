"""What the house knows of the Hathor ledger without running it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from strongroom.core.errors import VaultError
from strongroom.core.ledger.contract import Coin, LedgerDefinition, OwnVariables
from strongroom.core.revisions import Revisions
from strongroom.hathor.names import CREDENTIALS, SECRET_FILE, SURFACES

if TYPE_CHECKING:
    from strongroom.core.advice import Chapter
    from strongroom.core.described import Subject
    from strongroom.core.environment import Environment
    from strongroom.core.guard.vocabulary import Vocabulary
    from strongroom.core.intents.execution import Executions
    from strongroom.core.ledger.contract import Check
    from strongroom.core.ledger.installed import Installed
    from strongroom.core.ledger.surroundings import Surroundings
    from strongroom.core.storage.adoption.original import Original
    from strongroom.hathor.ledger import HathorLedger
    from strongroom.hathor.settings import HathorSettings

REVISIONS = Revisions(component="hathor", folder=Path(__file__).parent / "revisions")


class HathorDefinition(LedgerDefinition["HathorSettings", "HathorLedger"]):
    """See `core.ledger.contract`."""

    name = "hathor"
    title = "Hathor"
    coin = Coin("HTR", 2)
    named_by = ("DEFAULT_SERVER", "FULLNODE_HOST")
    example = "NETWORK and DEFAULT_SERVER"
    surfaces = SURFACES
    credentials = CREDENTIALS
    variables = OwnVariables(
        families=("HATHOR",),
        others=(
            "SANDBOX_HATHOR_PORT",
            "SANDBOX_HATHOR_STREAM",
            "HATHOR_CONFIG_YAML",  # read by a node, as is the next
            "HATHOR_CONFIG_FILE",
        ),
        obsolete={"HATHOR_AUTH_SECRET": "AUTH_SECRET", "HATHOR_DB_HOST": "DB_ENDPOINT"},
        all_set={
            **dict.fromkeys(("DB_ENDPOINT", "REDIS_HOST", "FULLNODE_HOST"), "x"),
            **dict.fromkeys(("FIREBASE_PROJECT_ID", "FIREBASE_CLIENT_EMAIL", "FIREBASE_PRIVATE_KEY"), "x"),
            "PUSH_NOTIFICATION_ENABLED": "true",
        },
    )
    secret_files = (SECRET_FILE,)
    works_alone = True
    described_commands: ClassVar[Mapping[str, str]] = {"hathor": "Look after the Hathor ledger."}
    revisions = REVISIONS

    def read_settings(self, environment: Environment, data: Path, host: str) -> HathorSettings:
        from strongroom.hathor.settings import read_hathor_settings

        return read_hathor_settings(environment, data, host)

    def explained_variables(self) -> Sequence[Subject]:
        from strongroom.hathor.variables import SUBJECTS

        return SUBJECTS

    def advice(self) -> Chapter:
        from strongroom.hathor.advice import CHAPTER

        return CHAPTER

    def make(self, settings: HathorSettings, surroundings: Surroundings) -> HathorLedger:
        from strongroom.hathor.ledger import HathorLedger

        return HathorLedger(self, settings, surroundings)

    def trail_secrets(self, settings: HathorSettings) -> Sequence[bytes]:
        """Nothing is sealed here, so the secrets are those that sign the clients' tokens."""
        if settings.api.auth_secrets:
            return [secret.reveal().encode() for secret in settings.api.auth_secrets]
        if settings.secret_file is not None and settings.secret_file.exists():
            return [settings.secret_file.read_text().strip().encode()]
        raise VaultError(
            "AUTH_SECRET is not set, and the audit trail is written with it: set it as the service has it",
            code="key_missing",
        )

    def keeps_payment(self, settings: HathorSettings, kind: str, age_ms: int) -> bool:
        """What was sent is forgotten after a while."""
        from strongroom.hathor.proposals.sent import KEPT_S

        del settings, kind
        return age_ms < 1000 * KEPT_S

    def executions(self) -> Executions:
        from strongroom.hathor.proposals.executions import VoidedExecutions

        return VoidedExecutions()

    def events(self) -> Mapping[str, str]:
        from strongroom.hathor.notifications.events import EVENTS

        return EVENTS

    def scopes(self) -> Mapping[str, str]:
        from strongroom.core.guard.rule import approval_scope
        from strongroom.hathor.scopes import SCOPES

        return {**SCOPES, **approval_scope(self.name)}

    def vocabulary(self) -> Vocabulary:
        from strongroom.hathor.proposals.broadcast_policy import VOCABULARY

        return VOCABULARY

    def original(self) -> Original:
        from strongroom.hathor.original import HathorWalletService

        return HathorWalletService()

    def checks(self, installed: Installed, settings: HathorSettings) -> Mapping[str, Check]:
        from strongroom.hathor.commands.doctor import hathor_checks

        return hathor_checks(installed, settings)

    def commands(self) -> Any:
        from strongroom.hathor.commands.verify import application

        return application


LEDGER = HathorDefinition()
