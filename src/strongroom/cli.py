"""The command `strongroom`. What a command needs is imported when it runs: see `commands.lazy`."""

import os
import sys
from typing import Annotated, NoReturn

import typer

from strongroom.commands.about.version import show_version
from strongroom.commands.lazy import LazyCommands, titles
from strongroom.core.environment import SettingsError, is_utf8
from strongroom.core.errors import StrongroomError
from strongroom.core.printable import harmless
from strongroom.registry import BROKEN

application = typer.Typer(
    name="strongroom",
    cls=LazyCommands,
    help=f"One self-hosted wallet service for {titles()} clients.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # to draw boxes around the help takes longer than all the rest
)


@application.callback()
def strongroom(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=show_version, is_eager=True, help="Tell what this is, and end."),
    ] = False,
) -> None:
    """The options of the service itself."""
    from strongroom.commands.context import Administrator  # noqa: PLC0415 - a command follows

    context.obj = Administrator()


def main() -> None:
    """Status 2: the command or a setting is wrong. Status 1: it could not be done. Either way, a line says why."""
    os.umask(0o077)  # databases and keys are for their owner alone
    for number, argument in enumerate(sys.argv):
        if not is_utf8(argument):
            _end(2, f"argument {number} has bytes that are no UTF-8: {argument!a}")
    for mistake in BROKEN:
        typer.secho(f"strongroom: warning: {mistake}", err=True, fg="yellow")
    try:
        application()
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
