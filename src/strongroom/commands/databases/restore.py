"""`strongroom restore` and `strongroom verify`: what a backup is good for."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated

import typer

from strongroom.commands.context import administrative_settings
from strongroom.commands.databases.locks import IdentityFile, read_keys
from strongroom.commands.databases.showing import shown_progress
from strongroom.commands.installed import installed
from strongroom.core.errors import InvalidInput, NotFound
from strongroom.core.ledger.installed import Installed, named_url
from strongroom.core.storage.backup import copy_secret
from strongroom.core.storage.database import sqlite_url
from strongroom.core.storage.schema import CORE
from strongroom.core.storage.transfer.archive import (
    Archived,
    Key,
    Manifest,
    check,
    inspect_trail,
    opened,
    read_manifest,
)
from strongroom.core.storage.transfer.copying import Copying
from strongroom.registry import BY_NAME
from strongroom.settings import Settings


def restore(
    folder: Annotated[Path, typer.Argument(help="The folder of the backup.")],
    keys: Annotated[
        Path | None, typer.Option(help="The folder with the keys, to put into the data folder.")
    ] = None,
    identity: IdentityFile = None,
    ledger: Annotated[
        list[str] | None, typer.Option("--ledger", help="This ledger alone. May be repeated.")
    ] = None,
) -> None:
    """Restore a backup into the databases of all configured ledgers, which must be empty. Of either engine."""
    manifest, settings = read_manifest(folder), administrative_settings()
    wanted = [one for one in installed(settings) if ledger is None or one.ledger in ledger]
    _require_all(manifest, wanted, ledger or [])
    settings.data.mkdir(parents=True, exist_ok=True)
    opening = read_keys(identity)
    asyncio.run(_restore_all(wanted, folder, manifest, opening, settings))
    if keys is not None:
        for source in sorted(path for path in keys.iterdir() if path.is_file()):
            copy_secret(source, settings.data / source.name)
            typer.echo(f"{source} is in {settings.data}")
    _tell_what_is_newer(manifest, wanted)


def _require_all(manifest: Manifest, wanted: list[Installed], named: list[str]) -> None:
    """Raises: NotFound: a ledger that is to be restored is not configured, or not in the backup."""
    configured = {one.ledger for one in wanted}
    if unknown := [name for name in named if name not in configured]:
        raise NotFound(f"{', '.join(unknown)} is not configured here")
    if missing := sorted(configured - manifest.ledgers.keys()):
        raise NotFound(
            f"The backup has {', '.join(manifest.ledgers)}, and not {', '.join(missing)}, which is configured. Say with --ledger"
            " what to restore",
            code="backup_lacks_ledger",
        )


def verify(
    folder: Annotated[Path | None, typer.Argument(help="The folder of a backup.")] = None,
    identity: IdentityFile = None,
    *,
    database: Annotated[
        bool, typer.Option("--database", help="Look at the databases of all configured ledgers instead.")
    ] = False,
) -> None:
    """Check a backup: that it opens, and has every row that was written. Changes nothing."""
    if (folder is None) != database:
        raise InvalidInput("Name the folder of a backup, or --database")
    if folder is None:
        for one in installed(administrative_settings()):
            with named_url(one.url):
                rows = asyncio.run(inspect_trail(one.url))
            typer.echo(f"{one.ledger}: the audit trail has its {rows} rows")
        return
    manifest = read_manifest(folder)
    opening = read_keys(identity)
    for ledger, archived in manifest.ledgers.items():
        asyncio.run(_verify(ledger, folder, archived, opening))
        typer.echo(
            f"{ledger}: {sum(archived.rows.values())} rows of {manifest.made_at} are as they were written"
        )


async def _verify(ledger: str, folder: Path, archived: Archived, keys: list[Key]) -> None:
    if ledger not in BY_NAME:
        raise NotFound(f"The ledger {ledger} is not installed here, so that its database cannot be checked")
    with ExitStack() as stack:
        plain = stack.enter_context(opened(folder, archived, keys, Path(gettempdir())))
        await check(plain, archived, (BY_NAME[ledger].revisions,), shown_progress(stack, ledger))


async def _restore_all(
    wanted: list[Installed], folder: Path, manifest: Manifest, keys: list[Key], settings: Settings
) -> None:
    """Nothing is written before all files are known to be good."""
    with ExitStack() as stack:
        plains = []
        for one in wanted:
            archived = manifest.ledgers[one.ledger]
            plain = stack.enter_context(opened(folder, archived, keys, settings.data))
            await check(plain, archived, one.revisions, shown_progress(stack, one.ledger))
            plains.append(plain)
        for one, plain in zip(wanted, plains, strict=True):
            await _restore(one, plain, manifest)


async def _restore(one: Installed, plain: Path, manifest: Manifest) -> None:
    archived = manifest.ledgers[one.ledger]
    with ExitStack() as stack, named_url(one.url):
        copying = Copying(
            source=sqlite_url(str(plain)),
            target=one.url,
            components=one.revisions,
            is_used=True,  # as it was when the backup was made; nobody uses this file
            progress=shown_progress(stack, one.ledger),
            name=f"the backup {archived.sha256}",
        )
        await copying.copy_once()
    where = one.url.render_as_string(hide_password=True)
    typer.echo(f"{one.ledger}: {sum(archived.rows.values())} rows of {manifest.made_at} are in {where}")


def _tell_what_is_newer(manifest: Manifest, wanted: list[Installed]) -> None:
    typer.echo(
        f"What was done after {manifest.made_at} is not in the backup: docs/backup.md, After a restore."
    )
    for one in wanted:
        for component in (CORE, *one.revisions):
            had = manifest.ledgers[one.ledger].revisions.get(component.component)
            newest = component.script.get_current_head()
            if had != newest:
                typer.echo(
                    f"{one.ledger}: this version has the newer schema {newest}; the start changes it from {had}"
                )
