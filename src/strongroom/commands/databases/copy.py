"""`strongroom copy`: all of a ledger's database into another one, of either engine."""

import asyncio
import os
from contextlib import ExitStack
from typing import Annotated

import typer
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from strongroom.commands.context import administrative_settings, require_known
from strongroom.commands.databases.showing import shown_progress
from strongroom.commands.installed import installed
from strongroom.core.environment import Environment
from strongroom.core.errors import InvalidInput
from strongroom.core.ledger.installed import Installed, named_url
from strongroom.core.storage.database import mysql_url, sqlite_url
from strongroom.core.storage.transfer.copying import Copied, Copying
from strongroom.settings import COPY_PASSWORD

PLACE = "{ledger}"
SERVERS = frozenset({"mysql", "mariadb"})
PORT = 3306


def copy(
    ledgers: Annotated[
        list[str] | None, typer.Argument(help="Which ledgers; with --all there is no need to name them.")
    ] = None,
    *,
    to: Annotated[
        str,
        typer.Option(
            help="mysql://USER@HOST:PORT/NAME, which is empty, or sqlite:///FILE, which is not there yet. {ledger} in it is"
            f" each ledger's name. The password is in {COPY_PASSWORD} or the file that {COPY_PASSWORD}_FILE names."
        ),
    ],
    all_ledgers: Annotated[bool, typer.Option("--all", help="All configured ledgers.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Copy nothing: compare an existing copy with its original.")
    ] = False,
) -> None:
    """Copy databases to another server or engine and compare every row. The service must be stopped."""
    require_known(ledgers)
    if bool(ledgers) == all_ledgers:
        raise InvalidInput("Name the ledgers to copy, or copy --all")
    wanted = installed(administrative_settings(ledgers))
    if len(wanted) > 1 and PLACE not in to:
        raise InvalidInput(
            f"Each ledger has a database of its own: write {PLACE} into the URL where its name belongs"
        )
    targets = [target_url(to.replace(PLACE, one.ledger)) for one in wanted]
    for one, target in zip(wanted, targets, strict=True):
        copied = asyncio.run(_copy(one, target, verify=verify))
        where = target.render_as_string(hide_password=True)
        typer.echo(f"{one.ledger}: {told(copied)}, equal in {where}")
        for name in copied.left_out:
            typer.echo(f"{one.ledger}: the table {name} belongs to another program and was not copied")
    if not verify:
        typer.echo(
            "Now name the copies in the ledgers' variables, run `strongroom doctor`, and start the service."
        )


def told(copied: Copied) -> str:
    """What was copied, in words."""
    return f"{len(copied.tables)} tables with {sum(one.rows for one in copied.tables)} rows"


def target_url(text: str) -> URL:
    """Reads the URL of a database to fill, with its password from a variable or a file.

    Raises:
        InvalidInput: it is none.
        SettingsError: the variable is wrong.
    """
    try:
        url = make_url(text)
    except ArgumentError:
        raise InvalidInput(
            "The URL of the copy is not understood: it is mysql://USER@HOST:PORT/NAME or sqlite:///FILE"
        ) from None
    if url.password is not None:
        raise InvalidInput(
            f"Other users of this machine see the arguments of commands: put the password into {COPY_PASSWORD}, or into a file"
            f" that {COPY_PASSWORD}_FILE names"
        )
    engine = url.get_backend_name()
    if engine == "sqlite" and url.database:
        return sqlite_url(url.database)
    if engine not in SERVERS or not (url.host and url.database):
        raise InvalidInput("A copy goes to mysql://USER@HOST:PORT/NAME or to sqlite:///FILE")
    environment = Environment(os.environ)
    password = environment.secret(COPY_PASSWORD)
    environment.raise_mistakes()
    return mysql_url(
        host=url.host,
        port=url.port or PORT,
        name=url.database,
        user=url.username or "root",
        password=password.reveal() if password else "",
    )


async def _copy(one: Installed, target: URL, *, verify: bool) -> Copied:
    with ExitStack() as stack, named_url(target):
        copying = Copying(
            source=one.url,
            target=target,
            components=one.revisions,
            progress=shown_progress(stack, one.ledger),
        )
        return await (copying.compare() if verify else copying.copy_once())
