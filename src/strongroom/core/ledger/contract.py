"""What server, settings and commands need of a ledger: its definition, and the running ledger that it makes.

A ledger is one `LedgerDefinition`. The registry finds it, and nothing outside the ledger's own folder names it. The
definition is light: it imports what runs the ledger only when that is asked for, so that a process pays for what it runs.

`core.ledger.base` has the running half that all ledgers share.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

from sqlalchemy.engine import URL

from strongroom.core.clock import Clock, Entropy
from strongroom.core.environment import Environment
from strongroom.core.http.exposure import Exposure
from strongroom.core.http.listener import Surface
from strongroom.core.runtime.telemetry import Health, Metrics
from strongroom.core.runtime.work_health import WorkHealth
from strongroom.core.security.holdings import Holdings
from strongroom.core.security.keys.source import KeySource
from strongroom.core.security.tokens import Tokens
from strongroom.core.storage.database import Database
from strongroom.core.storage.installed import Installed
from strongroom.core.storage.schema import Revisions

Check = Callable[[], Awaitable[str]]
"""One question of `strongroom doctor`: it returns the good news, or raises what is wrong as a StrongroomError."""


class LedgerSettings(Protocol):
    """What every ledger's settings have."""

    @property
    def database(self) -> URL: ...

    @property
    def exposures(self) -> tuple[Exposure, ...]:
        """Each surface that these settings open, and who reaches it."""

    @property
    def short_credentials(self) -> tuple[str, ...]:
        """Variables whose secrets are short because the operator allows it."""

    @property
    def key(self) -> KeySource | None:
        """Where the key-encryption key comes from; None: the ledger seals nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the process lends to each ledger."""

    clock: Clock
    entropy: Entropy
    health: Health
    metrics: Metrics


class Ledger(Protocol):
    """One running ledger: `surfaces`, `waiting`, `prepare` until it succeeds, `open`, `start`, `drain`, `close`."""

    database: Database
    tokens: Tokens

    def surfaces(self) -> list[Surface]:
        """What it serves. They say 503 until `open`. A process that does not call this has the workers alone."""

    def waiting(self) -> WorkHealth:
        """The health of its database before the ledger is open."""

    async def prepare(self) -> None:
        """Brings the database's schema up to date. It may run again and again until the database is there."""

    async def open(self) -> None:
        """Assembles the ledger. Needs the database, nothing else outside."""

    def start(self) -> None:
        """Starts its loops."""

    @property
    def failed(self) -> asyncio.Future[None]:
        """A future that gets an exception when a person must act before the work can go on. It exists from `open` on."""

    async def drain(self) -> None:
        """Answers callers that wait with what is known, before the surfaces stop."""

    async def close(self) -> None:
        """Ends the loops, then what they used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnVariables:
    """Names of environment variables that belong to a ledger, so that a misspelt one is found."""

    families: tuple[str, ...] = ()
    """What stands before the first `_` of names that only this service reads."""
    others: tuple[str, ...] = ()
    """Names that its commands, its sandbox and other programs read, beside those of its settings."""
    obsolete: Mapping[str, str] = field(default_factory=dict)
    """Names of other programs that an operator may try, and the one to use instead."""
    all_set: Mapping[str, str] = field(default_factory=dict)
    """Values with which the settings' reader comes to variables that it does not look at otherwise."""


class AbsentNetwork(NamedTuple):
    """A local network that the settings name and that nobody serves."""

    endpoint: str
    variables: Mapping[str, str]
    """What makes a sandbox stand there."""


S = TypeVar("S", bound=LedgerSettings)
L = TypeVar("L", bound=Ledger)


class LedgerDefinition(ABC, Generic[S, L]):
    """What there is to know of a ledger without running it. Subclass it, and keep one instance as `LEDGER`."""

    name: ClassVar[str]
    """In lower case: on the command line, in scopes, in names of leases and of health's components."""
    title: ClassVar[str]
    """For people."""
    named_by: ClassVar[tuple[str, ...]]
    """A ledger is configured when one of these variables is set: they name its outside, for example a node."""
    example: ClassVar[str]
    """The variables that an operator sets to configure it, in words."""
    surfaces: ClassVar[tuple[str, ...]]
    credentials: ClassVar[tuple[str, ...]] = ()
    """Variables that hold secrets of callers."""
    variables: ClassVar[OwnVariables] = OwnVariables()
    secret_files: ClassVar[tuple[str, ...]] = ()
    """Files in the data folder that `strongroom backup` keeps apart from the databases."""
    works_alone: ClassVar[bool] = False
    """`strongroom sync NAME` runs its workers without its surfaces."""

    @property
    @abstractmethod
    def revisions(self) -> Revisions:
        """Its migrations, beside those of the core."""

    @abstractmethod
    def read_settings(self, environment: Environment, data: Path, host: str) -> S:
        """Reads every variable; mistakes are collected in `environment`. `data` is the folder of embedded databases."""

    @abstractmethod
    def make(self, settings: S, surroundings: Surroundings) -> L:
        """A ledger that is not open yet."""

    def holdings(self) -> Holdings | None:
        """What its database holds sealed; None: nothing."""
        return None

    def scopes(self) -> Mapping[str, str]:
        """The rights of its API tokens, each with what it allows. Empty: it has none."""
        return {}

    def checks(self, installed: Installed, settings: S) -> Mapping[str, Check]:
        """What `strongroom doctor` asks beyond its database and its audit trail."""
        del installed, settings
        return {}

    def commands(self) -> Any | None:
        """`strongroom NAME ...`: a `typer.Typer`, or None. Commands find an `Administration` in their context."""
        return None

    def root_commands(self) -> Mapping[str, Callable[[], Callable[..., Any]]]:
        """Commands beside those of the service, by their names: each is loaded when it is asked for."""
        return {}

    def token_limits(self) -> Callable[..., str] | None:
        """What narrows a token's scopes: a function whose keyword parameters are options of `strongroom token create`.

        It returns the limits as they are stored; empty where no option was given. None: its tokens have no limits.
        """
        return None

    def absent_network(self, settings: S) -> AbsentNetwork | None:
        """The local network of these settings where nobody serves it: `strongroom serve --or-sandbox` asks."""
        del settings
        return None


AnyLedger = LedgerDefinition[Any, Any]


class Administration(Protocol):
    """What a ledger's commands ask for: `administration_of(context)`, with the command's `typer.Context`."""

    def settings(self, ledger: LedgerDefinition[S, L]) -> S:
        """The ledger's settings, as the environment has them.

        Raises:
            SettingsError: with every mistake found.
        """

    def prepared(
        self, ledger: LedgerDefinition[S, L], *, makes: bool = False
    ) -> AbstractAsyncContextManager[L]:
        """Gives the ledger with its database, not open. `makes`: the database is made or migrated; else it must exist."""

    def opened(
        self, ledger: LedgerDefinition[S, L], *, makes: bool = False
    ) -> AbstractAsyncContextManager[L]:
        """Gives the ledger open, with no loop running."""


def administration_of(context: Any) -> Administration:
    """What `strongroom` put into the context of its command."""
    found: Administration = context.find_root().obj
    return found
