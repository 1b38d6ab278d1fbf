"""What the administrative commands share: the ledger's settings and database, without serving."""

import getpass
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Annotated, TypeVar

import typer

from strongroom.commands.installed import require_installed
from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.ledger.contract import AnyLedger, Ledger, LedgerDefinition, LedgerSettings
from strongroom.core.ledger.local_networks import find_local_networks
from strongroom.core.ledger.surroundings import Surroundings
from strongroom.core.runtime.telemetry import Health, Metrics, configure_logging
from strongroom.core.security.access import OPERATOR, Principal
from strongroom.core.storage.database import Database
from strongroom.registry import ABSENT, BY_NAME, LEDGERS
from strongroom.settings import Settings, configured, read_settings

MAX_OPERATOR = 100
ChosenLedgers = Annotated[
    list[str] | None,
    typer.Argument(help=f"Which ledgers: {', '.join(BY_NAME)}. Default: all configured."),
]
AsOperator = Annotated[
    str | None,
    typer.Option("--as", help="Who does it, as operator:NAME. Default: the user of this machine."),
]

S = TypeVar("S", bound=LedgerSettings)
L = TypeVar("L", bound=Ledger)


def administrative_settings(ledgers: list[str] | None = None) -> Settings:
    """Settings of the environment; where no node is named, those of `serve --sandbox` in the same folder."""
    variables = dict(os.environ)
    if not configured(variables) and (networks := find_local_networks()) is not None:
        variables = networks.default_variables(variables) | variables
    settings = read_settings(variables, tuple(ledgers or ()))
    configure_logging(as_json=settings.log_as_json, level="WARNING")
    return settings


SIGN_IN = "sign-in"
"""As the server calls it, which the other commands do not load."""


def print_ready(urls: dict[str, str]) -> None:
    """One line that says where everything is: people read it, scripts wait for it. Of a sandbox, one more leads into the console."""
    surfaces = {name: url for name, url in urls.items() if name != SIGN_IN}
    typer.echo("ready " + " ".join(f"{name}={url}" for name, url in surfaces.items()))
    if SIGN_IN in urls:
        typer.echo(f"the console, which this link opens once within 15 minutes: {urls[SIGN_IN]}")
    sys.stdout.flush()


def require_known(ledgers: list[str] | None) -> None:
    """Ends the command where one of these names is no ledger's."""
    unknown = set(ledgers or ()) - set(BY_NAME)
    for name in sorted(unknown & set(ABSENT)):
        typer.echo(f"strongroom: this environment cannot run {name}: it has no strongroom[{name}]", err=True)
        raise typer.Exit(2)
    if unknown:
        typer.echo(
            f"strongroom: unknown ledger {', '.join(sorted(unknown))}; there is {', '.join(BY_NAME)}",
            err=True,
        )
        raise typer.Exit(2)


class Administrator:
    """See `core.ledger.contract.Administration`."""

    def settings(self, ledger: LedgerDefinition[S, L]) -> S:
        return own_settings(ledger, administrative_settings([ledger.name]))

    @asynccontextmanager
    async def prepared(self, ledger: LedgerDefinition[S, L], *, makes: bool = False) -> AsyncIterator[L]:
        settings = administrative_settings([ledger.name])
        if not makes:
            await require_installed(settings, ledger)
        settings.data.mkdir(parents=True, exist_ok=True)
        running = ledger.make(own_settings(ledger, settings), surroundings(settings))
        try:
            await running.prepare()
            await running.open_trail()
            yield running
        finally:
            await running.close()

    @asynccontextmanager
    async def opened(self, ledger: LedgerDefinition[S, L], *, makes: bool = False) -> AsyncIterator[L]:
        async with self.prepared(ledger, makes=makes) as running:
            await running.open()
            yield running


def prepared(name: str, *, makes: bool = False) -> AbstractAsyncContextManager[Ledger]:
    """The ledger of this name, as `Administrator.prepared`. Raises: BadParameter: there is none."""
    found: AbstractAsyncContextManager[Ledger] = Administrator().prepared(
        named_ledger(name, [*LEDGERS]), makes=makes
    )
    return found


def named_or_configured(name: str | None) -> list[AnyLedger]:
    """The ledger of this name; None: all that are configured."""
    if name is not None:
        return [named_ledger(name, [*LEDGERS])]
    served = administrative_settings().ledgers
    return [one for one in LEDGERS if one.name in served]


def own_settings(ledger: LedgerDefinition[S, L], settings: Settings) -> S:
    """Ends the command where the ledger is not configured."""
    found = settings.of(ledger)
    if found is None:
        typer.echo(f"strongroom: {ledger.title} is not configured: set {ledger.example}", err=True)
        raise typer.Exit(2)
    return found


def surroundings(settings: Settings) -> Surroundings:
    """Of a command: its health and metrics are asked by nobody."""
    return Surroundings(
        clock=SystemClock(),
        entropy=SystemEntropy(),
        health=Health(),
        metrics=Metrics("strongroom"),
        guard=settings.guard,
        checkpoints=settings.checkpoints,
        webhooks=settings.webhooks,
        redis=settings.redis,
    )


def shown(database: Database) -> str:
    """Where a database is, without its password."""
    return database.url.render_as_string(hide_password=True)


def operator(name: str | None) -> Principal:
    """Two people who operate the service are two principals, and one person is one, whatever command they run."""
    beginning = f"{OPERATOR.name}:"
    name = name or f"{beginning}{getpass.getuser()}"
    is_short = len(name) <= len(beginning) + MAX_OPERATOR
    if not (name.startswith(beginning) and name != beginning and name.isprintable() and is_short):
        raise typer.BadParameter("--as looks like operator:ann")
    return replace(OPERATOR, name=name)


def named_ledger(name: str, among: list[AnyLedger]) -> AnyLedger:
    """Raises: BadParameter: the name is none of these ledgers'."""
    for ledger in among:
        if ledger.name == name:
            return ledger
    raise typer.BadParameter(f"the ledger is {' or '.join(one.name for one in among)}")
