"""The command `strongroom`."""

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import uvloop

from strongroom.commands import doctor
from strongroom.commands.about import completion, health
from strongroom.commands.about.version import show_version
from strongroom.commands.context import Administrator, print_ready, require_known
from strongroom.commands.databases import backup
from strongroom.commands.lazy import LazyCommands, titles
from strongroom.commands.migrate import DryRun
from strongroom.commands.migrate import migrate as run_migrations
from strongroom.commands.sync import sync
from strongroom.core.clock import SystemClock
from strongroom.core.environment import SettingsError, is_utf8
from strongroom.core.errors import StrongroomError
from strongroom.core.http.outbound.targets import shown_place
from strongroom.core.ledger.contract import AbsentNetwork
from strongroom.core.ledger.local_networks import require_local_networks
from strongroom.core.printable import harmless
from strongroom.core.runtime.telemetry import configure_logging
from strongroom.registry import BROKEN, LEDGERS, require_whole
from strongroom.settings import Settings, check_names, read_settings

NAMES = ", ".join(ledger.name for ledger in LEDGERS)

application = typer.Typer(
    name="strongroom",
    cls=LazyCommands,
    help=f"One self-hosted wallet service for {titles()} clients.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
application.command("sync")(sync)
application.command("backup")(backup.backup)
application.command("doctor")(doctor.doctor)
application.command("health")(health.health)
application.command("completion")(completion.completion)

Ledgers = Annotated[
    list[str] | None, typer.Argument(help=f"Which ledgers: {NAMES}. Default: all configured.")
]


@application.callback()
def strongroom(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Tell what this is, and end."),
    ] = False,
) -> None:
    """The options of the service itself."""


@application.command()
def serve(
    ledgers: Ledgers = None,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Also start local ledgers and use them.")
    ] = False,
    or_sandbox: Annotated[
        bool,
        typer.Option(
            "--or-sandbox", help="The same where the settings name a local network and nobody serves it."
        ),
    ] = False,
) -> None:
    """Serve the named ledgers, with their workers and the management surface."""
    from strongroom.server import serve as run_service  # noqa: PLC0415 - the other commands need no web framework

    if not ledgers:
        require_whole()
    variables = dict(os.environ)
    networks = None
    if or_sandbox:
        for absent in _absent_networks(variables, tuple(ledgers or ())):
            typer.echo(f"no chain answers at {shown_place(absent.endpoint)}: starting a sandbox chain there")
            variables |= absent.variables
            sandbox = True
    if sandbox:
        data = Path(variables.get("STRONGROOM_DATA", "./data"))
        networks = require_local_networks().make(variables, data, SystemClock(), tuple(ledgers or ()))
        variables |= networks.service_variables()
    settings = load_settings(variables, ledgers)
    uvloop.run(run_service(settings, print_ready, networks))


@application.command()
def sandbox(ledgers: Ledgers = None) -> None:
    """Run local ledgers alone: nodes and chains to try the service with, and to test against."""
    from strongroom.server import serve_networks  # noqa: PLC0415 - as above

    require_known(ledgers)
    check_names(os.environ)
    configure_logging(as_json=os.environ.get("LOG_FORMAT") == "json")
    data = Path(os.environ.get("STRONGROOM_DATA", "./data"))
    known = require_local_networks()
    known.require(ledgers or ())
    networks = known.make(os.environ, data, SystemClock(), tuple(ledgers or ()))
    uvloop.run(serve_networks(networks, print_ready))


@application.command()
def migrate(ledgers: Ledgers = None, dry_run: DryRun = False) -> None:
    """Bring the databases up to date and end. `serve` does it too."""
    require_known(ledgers)
    run_migrations(ledgers, dry_run=dry_run)


def load_settings(variables: dict[str, str], ledgers: list[str] | None) -> Settings:
    """Settings of the process, and its log as they say."""
    require_known(ledgers)
    settings = read_settings(variables, tuple(ledgers or ()))
    configure_logging(as_json=settings.log_as_json, level=settings.log_level)
    settings.log_warnings()
    return settings


def _absent_networks(variables: dict[str, str], ledgers: tuple[str, ...]) -> list[AbsentNetwork]:
    """The local networks that these variables name and nobody serves.

    Raises:
        SettingsError.
    """
    settings = read_settings(variables, ledgers)
    found = [ledger.absent_network(own) for ledger in LEDGERS if (own := settings.of(ledger)) is not None]
    return [absent for absent in found if absent is not None]


def main() -> None:
    """Status 2: the command or a setting is wrong. Status 1: it could not be done. Either way, a line says why."""
    os.umask(0o077)  # databases and keys are for their owner alone
    for number, argument in enumerate(sys.argv):
        if not is_utf8(argument):
            _end(2, f"argument {number} has bytes that are no UTF-8: {argument!a}")
    for mistake in BROKEN:
        typer.secho(f"strongroom: warning: {mistake}", err=True, fg="yellow")
    try:
        application(obj=Administrator())
    except SettingsError as error:
        _end(2, *error.mistakes)
    except StrongroomError as error:
        _end(1, error.message)
    except OSError as error:
        _end(1, str(error))


def _end(status: int, *reasons: str) -> NoReturn:
    for reason in reasons:
        typer.secho(f"strongroom: {harmless(reason)}", err=True, fg="red")
    sys.exit(status)
