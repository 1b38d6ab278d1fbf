"""`strongroom doctor`: is everything that this installation needs there and in order? It only looks."""

import asyncio
from collections.abc import Awaitable, Callable

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from strongroom.commands.atto_doctor import atto_checks
from strongroom.commands.bittensor_doctor import bittensor_checks
from strongroom.commands.context import administrative_settings
from strongroom.commands.hathor_doctor import hathor_checks
from strongroom.commands.installed import installed
from strongroom.core.errors import StrongroomError
from strongroom.settings import Settings

Check = Callable[[], Awaitable[str]]


def doctor() -> None:
    """Check databases, audit trails, keys, nodes and work. It changes nothing and makes nothing."""
    settings = administrative_settings()
    if not asyncio.run(_report(_checks(settings))):
        raise typer.Exit(1)


def _checks(settings: Settings) -> dict[str, Check]:
    """What there is to check, by its name."""
    databases = {one.ledger: one for one in installed(settings)}
    checks: dict[str, Check] = {}
    if settings.atto is not None:
        checks |= atto_checks(databases["atto"], settings.atto)
    if settings.hathor is not None:
        checks |= hathor_checks(databases["hathor"], settings.hathor)
    if settings.bittensor is not None:
        checks |= bittensor_checks(databases["bittensor"], settings.bittensor)
    return checks


async def _report(checks: dict[str, Check]) -> bool:
    table = Table("check", "result")
    table.add_column("detail", overflow="fold")
    healthy = True
    for name, check in checks.items():
        try:
            table.add_row(name, "[green]good[/]", Text(await check()))
        except StrongroomError as error:
            healthy = False
            table.add_row(name, "[red]bad[/]", Text(error.message))
        except OSError as error:
            healthy = False
            table.add_row(name, "[red]bad[/]", Text(str(error)))
    Console().print(table)
    return healthy
