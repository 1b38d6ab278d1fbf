"""`strongroom sync`: the workers of a ledger alone."""

import os
from typing import Annotated

import typer
import uvloop

from strongroom.commands.context import named_ledger, print_ready
from strongroom.core.runtime.telemetry import configure_logging
from strongroom.registry import LEDGERS
from strongroom.settings import read_settings

ABLE = [ledger for ledger in LEDGERS if ledger.works_alone]


def sync(
    ledger: Annotated[str, typer.Argument(help=f"Which: {', '.join(one.name for one in ABLE)}.")],
) -> None:
    """Follow a node into the database, without serving an API."""
    from strongroom.server import serve  # noqa: PLC0415 - the other commands need no web framework

    definition = named_ledger(ledger, ABLE)
    settings = read_settings(os.environ, (definition.name,), serves_ledgers=False)
    configure_logging(as_json=settings.log_as_json, level=settings.log_level)
    settings.log_warnings()
    uvloop.run(serve(settings, print_ready, workers_alone=True))
