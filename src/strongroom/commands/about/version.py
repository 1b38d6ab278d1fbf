"""`strongroom --version`."""

import typer

from strongroom.core.runtime.build import installed_extras, read_build
from strongroom.registry import LEDGERS


def show_version(wanted: bool) -> None:
    """Tells what runs, one thing a line, and ends the command."""
    if not wanted:
        return
    build = read_build()
    typer.echo(f"strongroom {build.version}")
    typer.echo(f"commit: {build.commit or 'unknown'}")
    typer.echo(f"python: {build.python}")
    for ledger in LEDGERS:
        for work, engine in ledger.engines().items():
            typer.echo(f"{ledger.title}'s {work}: {engine}")
    typer.echo(f"ledgers: {', '.join(ledger.name for ledger in LEDGERS)}")
    typer.echo(f"extras: {', '.join(installed_extras()) or 'unknown'}")
    raise typer.Exit
