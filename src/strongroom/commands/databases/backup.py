"""`strongroom backup`: all ledgers' databases in one folder while the service runs, and the keys in another place."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from strongroom import __version__
from strongroom.commands.context import administrative_settings
from strongroom.commands.databases.locks import Recipients, WithPassphrase, read_locks
from strongroom.commands.databases.showing import shown_progress
from strongroom.commands.installed import installed
from strongroom.core.clock import SystemClock, SystemEntropy, iso_instant
from strongroom.core.errors import InvalidInput
from strongroom.core.ledger.installed import Installed, named_url
from strongroom.core.storage.backup import copy_secret, make_private_folder
from strongroom.core.storage.transfer.archive import (
    FORMAT,
    MANIFEST,
    Archived,
    BackupError,
    Lock,
    Manifest,
    archive,
    write_manifest,
)
from strongroom.registry import LEDGERS

SECRETS = tuple(name for ledger in LEDGERS for name in ledger.secret_files)


def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder for the databases.")],
    keys: Annotated[
        Path | None,
        typer.Option(help="A folder elsewhere, for the key files and secrets that the data folder holds."),
    ] = None,
    recipient: Recipients = None,
    *,
    passphrase: WithPassphrase = False,
) -> None:
    """Back up the databases of all configured ledgers, and the keys to another place. The service may run."""
    settings = administrative_settings()
    if keys is not None and keys.absolute().is_relative_to(folder.absolute()):
        raise InvalidInput("Keep the keys apart from the databases: together they open every unlocked wallet")
    locks = read_locks(recipient, passphrase=passphrase)
    make_private_folder(folder)
    wanted = installed(settings)
    _require_new(folder, wanted)
    settings.data.mkdir(parents=True, exist_ok=True)
    asyncio.run(_archive_all(wanted, folder, locks, settings.data, keys))


def _require_new(folder: Path, wanted: list[Installed]) -> None:
    """Before anything is copied. Raises: BackupError: a backup is there, or what is left of one that was killed."""
    if (folder / MANIFEST).exists():
        raise BackupError(f"{folder / MANIFEST} already exists: name a new folder", code="backup_exists")
    for one in wanted:
        for left in folder.glob(f"{one.ledger}.sqlite3*"):
            raise BackupError(
                f"{left} is of a backup that was not completed: name a new folder, and remove this one",
                code="backup_exists",
            )


async def _archive_all(
    wanted: list[Installed], folder: Path, locks: list[Lock], scratch: Path, keys: Path | None
) -> None:
    """All of them, or none. The manifest comes last, because with it a folder counts as a backup."""
    clock, made = SystemClock(), dict[str, Archived]()
    made_at = iso_instant(clock.now_ms())
    try:
        for one in wanted:
            made[one.ledger] = await _archive(one, folder, locks, scratch)
        if keys is not None:
            _copy_keys(scratch, keys)
        manifest = Manifest(format=FORMAT, version=__version__, made_at=made_at, ledgers=made)
        write_manifest(folder, manifest)
    except BaseException as error:
        for archived in made.values():
            (folder / archived.file).unlink(missing_ok=True)
        if isinstance(error, OSError):
            (folder / MANIFEST).unlink(missing_ok=True)
            why = f"{folder} cannot be written: {error.strerror}. Nothing was left there"
            raise BackupError(why, code="backup_not_written") from error
        raise


async def _archive(one: Installed, folder: Path, locks: list[Lock], scratch: Path) -> Archived:
    with ExitStack() as stack, named_url(one.url):
        archived = await archive(
            one.url,
            one.revisions,
            folder / f"{one.ledger}.sqlite3",
            locks=locks,
            entropy=SystemEntropy(),
            scratch=scratch,
            progress=shown_progress(stack, one.ledger),
        )
    typer.echo(f"{one.ledger}: {sum(archived.rows.values())} rows are in {folder / archived.file}")
    for name in archived.left_out:
        typer.echo(f"{one.ledger}: the table {name} belongs to another program and is not in the backup")
    return archived


def _copy_keys(data: Path, keys: Path) -> None:
    make_private_folder(keys)
    # While a key is changed, the next one lies beside it, and afterwards the old one.
    for name in SECRETS:
        for source in (data / name, *data.glob(f"{name}.next"), *data.glob(f"{name}.v*")):
            if source.exists():
                copy_secret(source, keys / source.name)
                typer.echo(f"{source} is in {keys / source.name}")
