"""`strongroom serve`, and `strongroom sandbox`."""

import os
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from strongroom.commands.context import ChosenLedgers, print_ready, require_known
from strongroom.core.clock import SystemClock
from strongroom.core.http.outbound.targets import shown_place
from strongroom.core.ledger.contract import AbsentNetwork
from strongroom.core.ledger.local_networks import require_local_networks
from strongroom.core.runtime.telemetry import configure_logging
from strongroom.registry import LEDGERS, require_whole
from strongroom.settings import Settings, check_names, read_settings


def serve(
    ledgers: ChosenLedgers = None,
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


def sandbox(ledgers: ChosenLedgers = None) -> None:
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
