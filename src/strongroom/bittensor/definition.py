"""What the registry knows of the Bittensor ledger without running it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from strongroom.bittensor.names import CREDENTIALS, SURFACES
from strongroom.core.ledger.contract import Coin, LedgerDefinition, OwnVariables
from strongroom.core.revisions import Revisions

CALL_FORM = r"[A-Z][A-Za-z0-9]*\.[a-z][a-z0-9_]*"
"""`Pallet.function`, in the letters of the chain: `balances.transfer_all` would be another word, and met by no call."""
HOTKEY_FORM = r"(?![1-9A-HJ-NP-Za-km-z]{46,48}$)[A-Za-z0-9_][A-Za-z0-9_.@+ -]{0,63}"
"""A name, and no address, which `hotkey_address` is for."""
FACTS = {
    "netuid": int,
    "call": str,
    "key": str,
    "hotkey": str,
    "hotkey_address": str,
    "uid": int,
    "uid_count": int,
    "largest_share": int,
    "version_key": int,
}
"""See `docs/guard.md`, and `authorization.key_use`."""

if TYPE_CHECKING:
    from strongroom.bittensor.ledger import BittensorLedger
    from strongroom.bittensor.settings import BittensorSettings
    from strongroom.core.advice import Chapter
    from strongroom.core.described import Subject
    from strongroom.core.environment import Environment
    from strongroom.core.guard.token_rules import TokenRules
    from strongroom.core.guard.vocabulary import Vocabulary
    from strongroom.core.intents.execution import Executions
    from strongroom.core.ledger.contract import AbsentNetwork, Check
    from strongroom.core.ledger.installed import Installed
    from strongroom.core.ledger.surroundings import Surroundings
    from strongroom.core.security.holdings import Holdings

REVISIONS = Revisions(component="bittensor", folder=Path(__file__).parent / "revisions")


class BittensorDefinition(LedgerDefinition["BittensorSettings", "BittensorLedger"]):
    """See `core.ledger.contract`."""

    name = "bittensor"
    title = "Bittensor"
    coin = Coin("TAO", 9)
    named_by = ("BITTENSOR_NETWORK", "network", "CHAIN_NETWORK", "chain_endpoint", "CHAIN_ENDPOINT")
    example = "network"
    surfaces = SURFACES
    credentials = CREDENTIALS
    variables = OwnVariables(
        families=("BITTENSOR",),
        others=(
            "SANDBOX_BITTENSOR_PORT",
            "SANDBOX_BITTENSOR_SPEC",
            "SANDBOX_BITTENSOR_BLOCK_MS",
            "STRONGROOM_BITTENSOR_TOKEN",
            "WALLET_SERVICE_STATE",
            "WALLET_SERVICE_COOL_DOWN_S",
            "BITTENSOR_RUNTIME_CACHE_DIR",  # read by the SDK
        ),
        all_set={"BITTENSOR_DB_HOST": "x"},
    )
    secret_files = ("bittensor.kek",)
    described_commands: ClassVar[Mapping[str, str]] = {
        "bittensor": "Look after the keys of Bittensor wallets."
    }
    revisions = REVISIONS

    def read_settings(self, environment: Environment, data: Path, host: str) -> BittensorSettings:
        from strongroom.bittensor.settings import read_bittensor_settings

        return read_bittensor_settings(environment, data, host)

    def explained_variables(self) -> Sequence[Subject]:
        from strongroom.bittensor.variables import SUBJECTS

        return SUBJECTS

    def advice(self) -> Chapter:
        from strongroom.bittensor.advice import CHAPTER

        return CHAPTER

    def make(self, settings: BittensorSettings, surroundings: Surroundings) -> BittensorLedger:
        from strongroom.bittensor.ledger import BittensorLedger

        return BittensorLedger(self, settings, surroundings)

    def holdings(self) -> Holdings:
        from strongroom.bittensor.keystore.holdings import KeyHoldings

        return KeyHoldings()

    def keeps_payment(self, settings: BittensorSettings, kind: str, age_ms: int) -> bool:
        """Signed messages are not stored, and what was resolved is forgotten after a while."""
        from strongroom.bittensor.calls.messages import MESSAGE
        from strongroom.bittensor.jobs.retention import DAY_MS

        days = settings.retention_days
        return (not days or age_ms < days * DAY_MS) and not kind.startswith(MESSAGE)

    def executions(self) -> Executions:
        from strongroom.bittensor.extrinsics.executions import ReceiptExecutions

        return ReceiptExecutions()

    def events(self) -> Mapping[str, str]:
        from strongroom.bittensor.jobs.events import EVENTS

        return EVENTS

    def scopes(self) -> Mapping[str, str]:
        from strongroom.bittensor.authorization.limits import SCOPES
        from strongroom.core.guard.rule import approval_scope

        return {**SCOPES, **approval_scope(self.name)}

    def read_limits(self, document: Mapping[str, Any]) -> str:
        from strongroom.bittensor.authorization.limits import read_limits

        return read_limits(document)

    def network_id(self, payment_id: bytes) -> str:
        return f"0x{payment_id.hex()}"

    def vocabulary(self) -> Vocabulary:
        from strongroom.bittensor.authorization.key_use import imagined_use
        from strongroom.bittensor.protocol.call_reach import PAYS_NOTHING
        from strongroom.bittensor.protocol.messages import MessageKind
        from strongroom.bittensor.protocol.ss58 import decode_address, encode_address
        from strongroom.core.guard.vocabulary import Payloads, Vocabulary
        from strongroom.core.security.policy import EXPORT

        def canonical(address: str) -> str:
            return encode_address(decode_address(address))

        pays_nothing = "|".join(map(re.escape, sorted(PAYS_NOTHING)))
        return Vocabulary(
            kind_form=rf"{EXPORT}|message:({'|'.join(MessageKind)})|{CALL_FORM}",
            facts=FACTS,
            fact_forms={"call": CALL_FORM, "key": "hotkey|coldkey", "hotkey": HOTKEY_FORM},
            normalized_facts={"hotkey_address": canonical},
            as_request=imagined_use,
            principals=("token:", "jwt:", "jwt", "service-token"),
            payloads=Payloads(
                paying_kinds=rf"(?!{EXPORT}$|message:|(?:{pays_nothing})$).*",
                pays_several=False,
                kind_fact="call",
            ),
            normalized_destination=canonical,
            normalized_account=canonical,
        )

    def checks(self, installed: Installed, settings: BittensorSettings) -> Mapping[str, Check]:
        from strongroom.bittensor.commands.doctor import bittensor_checks

        return bittensor_checks(installed, settings)

    def commands(self) -> Any:
        from strongroom.bittensor.commands.wallets import application

        return application

    def token_limits(self) -> Callable[..., str]:
        from strongroom.bittensor.commands.token_limits import token_limits

        return token_limits

    def token_rules(self) -> TokenRules:
        from strongroom.bittensor.authorization.token_rules import token_rules

        return token_rules

    def absent_network(self, settings: BittensorSettings) -> AbsentNetwork | None:
        from strongroom.bittensor.absent_chain import absent_chain

        return absent_chain(settings)


LEDGER = BittensorDefinition()
