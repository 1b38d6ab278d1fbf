"""`strongroom backup`: copies of the SQLite databases while the service runs, and of the keys to another place."""

from pathlib import Path
from typing import Annotated

import typer

from strongroom.commands.context import administrative_settings
from strongroom.core.errors import InvalidInput, Unavailable
from strongroom.core.storage.backup import copy_database, copy_secret, make_private_folder
from strongroom.registry import LEDGERS

SECRETS = tuple(name for ledger in LEDGERS for name in ledger.secret_files)


def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder for the databases.")],
    keys: Annotated[
        Path | None,
        typer.Option(help="A folder elsewhere, for the key files and secrets that the data folder holds."),
    ] = None,
) -> None:
    """Copy the SQLite databases of all configured ledgers, and the keys to another place. The service may run."""
    settings = administrative_settings()
    if keys is not None and keys.absolute().is_relative_to(folder.absolute()):
        raise InvalidInput("Keep the keys apart from the databases: together they open every unlocked wallet")
    servers: list[str] = []
    make_private_folder(folder)
    for ledger, own in settings.ledgers.items():
        url = own.database
        if url.get_backend_name() != "sqlite":
            servers.append(ledger)
            continue
        source = Path(str(url.database))
        copy_database(source, folder / source.name)
        typer.echo(f"{ledger}: {source} is in {folder / source.name}")
    if keys is not None:
        make_private_folder(keys)
        # While a key is changed, the next one lies beside it, and afterwards the old one.
        found = (
            path
            for name in SECRETS
            for path in (
                settings.data / name,
                *settings.data.glob(f"{name}.next"),
                *settings.data.glob(f"{name}.v*"),
            )
        )
        for source in found:
            if source.exists():
                copy_secret(source, keys / source.name)
                typer.echo(f"{source} is in {keys / source.name}")
    if servers:
        raise Unavailable(
            f"Not copied: {', '.join(servers)}, on a server. Its own tool copies it (docs/operations.md, Back up)"
        )
