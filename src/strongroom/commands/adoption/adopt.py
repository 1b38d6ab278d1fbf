"""`strongroom adopt LEDGER`: what it would do, then to do it, and the way back."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from strongroom.commands.adoption.giving_back import give_back_database
from strongroom.commands.adoption.taking_over import show_survey, take_over
from strongroom.commands.adoption.target import Target
from strongroom.commands.context import (
    AsOperator,
    administrative_settings,
    named_ledger,
    operator,
    own_settings,
    surroundings,
)
from strongroom.commands.installed import installed
from strongroom.core.errors import InvalidInput
from strongroom.registry import LEDGERS


def adopt(
    ledger: Annotated[
        str, typer.Argument(help="Whose database; without it, the ledgers that have an original.")
    ] = "",
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what is there, what would change and what stands in the way."),
    ] = False,
    backup_made: Annotated[
        bool, typer.Option("--backup-made", help="You have a backup of this database that you can restore.")
    ] = False,
    backup: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Make one first, in this folder, with mariadb-dump or mysqldump."
        ),
    ] = None,
    despite_connections: Annotated[
        bool, typer.Option("--despite-connections", help="Programs that are connected do not write.")
    ] = False,
    revert: Annotated[bool, typer.Option("--revert", help="Give the database back to the original.")] = False,
    export: Annotated[
        Path | None,
        typer.Option(help="With --revert: the file for the tables that go. Default: in the data folder."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
    name: AsOperator = None,
) -> None:
    """Take over the database of the original in place, or give it back with --revert. Stop the original first."""
    originals = {one.name: found for one in LEDGERS if (found := one.original()) is not None}
    if not ledger:
        for one, original in originals.items():
            typer.echo(f"{one}: databases of {original.title}")
        return
    definition = named_ledger(ledger, [one for one in LEDGERS if one.name in originals])
    settings = administrative_settings([ledger])
    own = own_settings(definition, settings)
    (place,) = (one for one in installed(settings) if one.ledger == ledger)
    if place.url.get_backend_name() == "sqlite":
        raise InvalidInput(
            "The variables name no MySQL database, and the originals have no other: set those that the original had"
        )
    target = Target(
        definition=definition,
        settings=own,
        surroundings=surroundings(settings),
        installed=place,
        original=originals[ledger],
        data=settings.data,
        despite_connections=despite_connections,
        by=operator(name),
    )
    if revert:
        asyncio.run(give_back_database(target, export=export, dry_run=dry_run, yes=yes))
    elif dry_run:
        asyncio.run(show_survey(target))
    else:
        asyncio.run(take_over(target, backup_made=backup_made, backup=backup))
