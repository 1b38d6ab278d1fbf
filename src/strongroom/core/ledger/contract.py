"""The interface between ledgers and the server, settings and commands: a ledger's definition, and the running ledger.

Each ledger has one `LedgerDefinition`. The registry finds it, and no code outside the ledger's own folder names the ledger. The
definition imports what runs the ledger only when it is needed, so that a process loads only the ledgers that it runs.

`core.ledger.base` implements the part of a running ledger that all ledgers share.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

from strongroom.core.errors import InvalidInput, VaultError

if TYPE_CHECKING:
    import asyncio

    from sqlalchemy import Connection
    from sqlalchemy.engine import URL

    from strongroom.core.advice import Chapter
    from strongroom.core.described import Subject
    from strongroom.core.environment import Environment
    from strongroom.core.guard.administration import GuardAdministration
    from strongroom.core.guard.approvals.administration import ApprovalAdministration
    from strongroom.core.guard.dry_run import DryRun
    from strongroom.core.guard.guard import Guard
    from strongroom.core.guard.token_rules import TokenRules
    from strongroom.core.guard.vocabulary import Vocabulary
    from strongroom.core.http.exposure import Exposure
    from strongroom.core.http.listener import Surface
    from strongroom.core.intents.announcing import PaymentEvents
    from strongroom.core.intents.execution import Executions
    from strongroom.core.intents.intent import Intent
    from strongroom.core.intents.payments import Payments
    from strongroom.core.ledger.browsing.browser import WalletBrowser
    from strongroom.core.ledger.installed import Installed
    from strongroom.core.ledger.surroundings import Surroundings
    from strongroom.core.ledger.telling import Telling
    from strongroom.core.revisions import Revisions
    from strongroom.core.runtime.work_health import WorkHealth
    from strongroom.core.security.attempts import AuditedBursts
    from strongroom.core.security.audit import Audit
    from strongroom.core.security.authentication import TokenCheck
    from strongroom.core.security.custody.custody import Custody
    from strongroom.core.security.holdings import Holdings
    from strongroom.core.security.keys.source import KeySource
    from strongroom.core.security.keys.trail_key import TrailKey
    from strongroom.core.security.tokens import Tokens
    from strongroom.core.storage.adoption.original import Original
    from strongroom.core.storage.database import Database
    from strongroom.core.transparency.inspection import Inspection
    from strongroom.core.transparency.making import Checkpoints
    from strongroom.core.transparency.proving import Proofs
    from strongroom.core.transparency.watching import Verifications
    from strongroom.core.webhooks.administration import WebhookAdministration

Check = Callable[[], Awaitable[str]]
"""One check of `strongroom doctor`: returns what is right as text, or raises what is wrong as a StrongroomError."""


class LedgerSettings(Protocol):
    """The settings that every ledger has."""

    @property
    def database(self) -> URL: ...

    @property
    def exposures(self) -> tuple[Exposure, ...]:
        """Each surface of these settings, and which callers it admits."""

    @property
    def short_credentials(self) -> tuple[str, ...]:
        """The variables whose secrets are short with the operator's permission."""

    @property
    def key(self) -> KeySource | None:
        """The source of the key-encryption key; None if the ledger seals nothing."""


class Ledger(Protocol):
    """One running ledger.

    The server calls `surfaces`, `waiting`, `prepare` (until it succeeds), `wait_for_keys`, `open`, `start`, `drain` and `close`, in this order.
    """

    definition: AnyLedger
    database: Database
    audit: Audit
    trail_key: TrailKey
    """What rows of the audit trail are made with. It is closed until `prepare`."""
    tokens: Tokens
    token_check: TokenCheck
    custody: Custody | None
    """The key-encryption keys; None if the ledger seals nothing."""
    bursts: AuditedBursts
    """Records repeated failures of authentication in the ledger's audit trail."""
    guard: Guard
    rules: GuardAdministration
    dry_run: DryRun
    payments: Payments
    payment_events: PaymentEvents
    approvals: ApprovalAdministration
    webhooks: WebhookAdministration
    checkpoints: Checkpoints
    proofs: Proofs
    verifications: Verifications

    def inspection(self) -> Inspection:
        """What checks the audit trail against its checkpoints. Raises: Sealed."""

    def surfaces(self) -> list[Surface]:
        """The ledger's surfaces; they answer 503 until `open`. A process that runs only the loops does not call this."""

    def waiting(self) -> WorkHealth:
        """The health of the database while the ledger is not open yet."""

    async def prepare(self) -> None:
        """Brings the database's schema up to date, and opens the secret of the audit trail. It may run several times, until the database answers."""

    def tellings(self, connection: Connection, intent: Intent) -> Sequence[Telling]:
        """Whom the ledger tells of a payment, besides webhooks."""

    async def has_wallet(self, name: str) -> bool | None:
        """Whether there is a wallet of this name, as rules and freezes name it; None: the ledger does not say. Needs `prepare`."""

    def browser(self) -> WalletBrowser:
        """What shows the ledger's wallets to operators. Needs `prepare`."""

    async def open_trail(self) -> None:
        """Opens the secret of the audit trail, for who administers the ledger without opening it. Needs `prepare`."""

    @property
    def is_prepared(self) -> bool:
        """Whether `prepare` has succeeded, so that people can administer the ledger."""

    async def wait_for_keys(self, database: WorkHealth) -> None:
        """Waits until the backend that keeps the ledger's keys answers, if there is one. Needs `prepare`.

        `database` is what `waiting` gave.
        """

    async def open(self) -> None:
        """Assembles the ledger. It needs the database, but no node."""

    def start(self) -> None:
        """Starts the ledger's loops."""

    @property
    def failed(self) -> asyncio.Future[None]:
        """A future that gets an exception when a person must act before the work can continue. It exists from `open` on."""

    async def drain(self) -> None:
        """Answers waiting callers with what is known now, before the surfaces stop."""

    async def close(self) -> None:
        """Ends the loops, then closes what they used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnVariables:
    """The names of a ledger's environment variables, so that misspelt names are found."""

    families: tuple[str, ...] = ()
    """The parts before the first `_` of names that only this service reads."""
    others: tuple[str, ...] = ()
    """Names that the ledger's commands, its sandbox and other programs read, in addition to those of its settings."""
    obsolete: Mapping[str, str] = field(default_factory=dict)
    """Names of other programs that an operator may try, and the name to use instead."""
    all_set: Mapping[str, str] = field(default_factory=dict)
    """Values that make `read_settings` read all its variables, also those that depend on others."""


class AbsentNetwork(NamedTuple):
    """A local network that the settings name but that does not answer."""

    endpoint: str
    variables: Mapping[str, str]
    """The variables with which a sandbox serves this endpoint."""


class Coin(NamedTuple):
    """The ledger's own coin, as people write amounts of it."""

    symbol: str
    decimals: int
    """One coin is 10 to the power of so many of the smallest unit."""


SMALLEST_UNIT = Coin("raw", 0)

S = TypeVar("S", bound=LedgerSettings)
L = TypeVar("L", bound=Ledger)


class LedgerDefinition(ABC, Generic[S, L]):
    """Everything about a ledger that is known without running it. A ledger subclasses this and keeps one instance as `LEDGER`."""

    name: ClassVar[str]
    """The name in lower case, as used on the command line, in scopes, leases and health components."""
    title: ClassVar[str]
    """The name as people write it."""
    named_by: ClassVar[tuple[str, ...]]
    """The ledger is configured if one of these variables is set, for example the address of its node."""
    example: ClassVar[str]
    """The variables that an operator sets to configure the ledger, in words."""
    coin: ClassVar[Coin] = SMALLEST_UNIT
    """How people write its amounts."""
    surfaces: ClassVar[tuple[str, ...]]
    credentials: ClassVar[tuple[str, ...]] = ()
    """The variables that contain secrets of callers."""
    variables: ClassVar[OwnVariables] = OwnVariables()
    secret_files: ClassVar[tuple[str, ...]] = ()
    """Files in the data folder that `strongroom backup` stores apart from the databases."""
    described_commands: ClassVar[Mapping[str, str]] = {}
    """What `strongroom --help` says of the commands of `commands` and `root_commands`; it loads those that are absent here."""
    works_alone: ClassVar[bool] = False
    """Whether `strongroom sync NAME` can run its loops without its surfaces."""

    @property
    @abstractmethod
    def revisions(self) -> Revisions:
        """The ledger's migrations, which run after those of the core."""

    @abstractmethod
    def read_settings(self, environment: Environment, data: Path, host: str) -> S:
        """Reads all variables; `environment` collects the mistakes. `data` is the folder of embedded databases."""

    @abstractmethod
    def make(self, settings: S, surroundings: Surroundings) -> L:
        """Makes a ledger that is not open yet."""

    def explained_variables(self) -> Sequence[Subject]:
        """What each variable of the ledger is for, by subject, as `strongroom config` shows it."""
        return ()

    def advice(self) -> Chapter | None:
        """What the error codes mean that only this ledger gives, and what helps."""
        return None

    def keeps_payment(self, settings: S, kind: str, age_ms: int) -> bool:
        """Whether a signed payload of this kind and age must still be stored."""
        del settings, kind, age_ms
        return True

    def holdings(self) -> Holdings | None:
        """The sealed values in the ledger's database; None if there are none."""
        return None

    def trail_secrets(self, settings: S) -> Sequence[bytes]:
        """What the audit trail's secret is kept under in a ledger without key-encryption key: the present secret, then the one before.

        Such a ledger overrides this.

        Raises:
            VaultError: this process has none; the message says which variable or file is missing.
        """
        del settings
        raise VaultError(f"The ledger {self.name} has no key for its audit trail", code="key_missing")

    def engines(self) -> Mapping[str, str]:
        """What does a work that has a slower stand-in, by the work: `{"proof of work": "native"}`."""
        return {}

    def scopes(self) -> Mapping[str, str]:
        """The scopes of the ledger's API tokens, each with what it allows; empty if the ledger has no tokens."""
        return {}

    def vocabulary(self) -> Vocabulary:
        """The words that rules may use of its signatures."""
        from strongroom.core.guard.vocabulary import Vocabulary  # noqa: PLC0415 - to describe a ledger needs no guard

        return Vocabulary()

    def checks(self, installed: Installed, settings: S) -> Mapping[str, Check]:
        """The ledger's own checks for `strongroom doctor`, in addition to those of database and audit trail."""
        del installed, settings
        return {}

    def commands(self) -> Any | None:
        """The commands `strongroom NAME ...` as a `typer.Typer`, or None. They find an `Administration` in their context."""
        return None

    def root_commands(self) -> Mapping[str, Callable[[], Callable[..., Any]]]:
        """Additional commands `strongroom COMMAND`, by name. Each one is loaded when it is called."""
        return {}

    def original(self) -> Original | None:
        """The program whose databases `strongroom adopt` takes over for this ledger; None: there is none."""
        return None

    def other_receivers(self, settings: S) -> Mapping[str, str]:
        """Receivers of events that variables name, besides the endpoints of webhooks: by the variable, where it is in part."""
        del settings
        return {}

    def events(self) -> Mapping[str, str]:
        """The kinds of events that only this ledger announces, each with what it says."""
        return {}

    def executions(self) -> Executions | None:
        """What is stored of what the ledger did with payments that it has; None: what it accepts has its effect."""
        return None

    def token_limits(self) -> Callable[..., str] | None:
        """A function whose keyword parameters become options of `strongroom token create`; None: tokens have no limits.

        The function returns the limits in the form in which they are stored, or an empty text if no option was given.
        """
        return None

    def read_limits(self, document: Mapping[str, Any]) -> str:
        """Reads what narrows a token in this ledger's own terms, and returns it in the form in which it is stored.

        Raises:
            InvalidInput: it is not understood, or tokens of this ledger have no limits of its own.
        """
        del document
        raise InvalidInput(f"tokens of {self.name} have no limits of their own", code="limits_invalid")

    def network_id(self, payment_id: bytes) -> str:
        """How the network's people write the id of a payment."""
        return payment_id.hex()

    def token_rules(self) -> TokenRules:
        """The rules that tokens carry: the limits of a request's principal as the guard decides them."""
        return lambda _request: ()

    def absent_network(self, settings: S) -> AbsentNetwork | None:
        """The local network of these settings if it does not answer; None otherwise. `serve --or-sandbox` asks this."""
        del settings
        return None


AnyLedger = LedgerDefinition[Any, Any]


class Administration(Protocol):
    """What `strongroom` provides to a ledger's commands; they get it from `administration_of(context)`."""

    def settings(self, ledger: LedgerDefinition[S, L]) -> S:
        """The ledger's settings from the environment.

        Raises:
            SettingsError: there are mistakes; the message lists all of them.
        """

    def prepared(
        self, ledger: LedgerDefinition[S, L], *, makes: bool = False
    ) -> AbstractAsyncContextManager[L]:
        """Provides the ledger with its database, not open. With `makes` the database is created or migrated if needed."""

    def opened(
        self, ledger: LedgerDefinition[S, L], *, makes: bool = False
    ) -> AbstractAsyncContextManager[L]:
        """Provides the open ledger, without running its loops."""


def administration_of(context: Any) -> Administration:
    """The `Administration` that `strongroom` has put into the context of its command."""
    found: Administration = context.find_root().obj
    return found
