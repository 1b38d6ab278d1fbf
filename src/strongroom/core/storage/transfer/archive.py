"""A backup: a folder with one SQLite file for each ledger, encrypted or not, and a manifest that says what must be in them.

A database on a server is copied into such a file too, so that a backup can be restored to either engine. The manifest is written
last: a folder without one is no backup.
"""

import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec
from sqlalchemy import Connection, text
from sqlalchemy.engine import URL

from strongroom.core.clock import Entropy
from strongroom.core.errors import StrongroomError, Unavailable
from strongroom.core.json_decoder import decode_json
from strongroom.core.revisions import Revisions
from strongroom.core.storage.backup import copy_database, put_file
from strongroom.core.storage.database import sqlite_url
from strongroom.core.storage.errors import DatabaseUnavailable
from strongroom.core.storage.transfer import age
from strongroom.core.storage.transfer.comparing import TableDigest, digest
from strongroom.core.storage.transfer.connections import run, snapshot
from strongroom.core.storage.transfer.copying import Copying, Progress, read_revisions, silent
from strongroom.core.storage.transfer.shapes import pair, read_shapes

MANIFEST = "manifest.json"
FORMAT = 1
ENCRYPTED = ".age"
Lock = age.Recipient | age.Passphrase
Key = age.Identity | age.Passphrase
TRAIL = (
    "SELECT lane, COUNT(*), MIN(number), MAX(number) FROM strongroom_audit WHERE lane IS NOT NULL GROUP BY lane",
    "SELECT lane, number FROM strongroom_audit_lane WHERE lane >= 0",
)


WRITE_FAULTS = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_TRUNCATE,
        sqlite3.SQLITE_IOERR_SHMSIZE,
        sqlite3.SQLITE_READONLY,
    }
)


class BackupError(StrongroomError):
    """A backup cannot be made or used. The message has the code, for the person who reads it on a terminal."""

    code = "backup_damaged"

    def __init__(self, message: str, *, code: str = "backup_damaged") -> None:
        super().__init__(f"{message} ({code})", code=code)


class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """One ledger's file: its size and SHA-256 as it lies there, and what the database in it has."""

    file: str
    size: int
    sha256: str
    revisions: dict[str, str]
    rows: dict[str, int]
    hashes: dict[str, str]
    left_out: list[str] = []


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    """What every format has."""

    format: int
    version: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup has. `version` is of the service that made it."""

    format: int
    version: str
    made_at: str
    ledgers: dict[str, Archived]


async def archive(
    url: URL,
    components: Sequence[Revisions],
    target: Path,
    *,
    locks: Sequence[Lock],
    entropy: Entropy,
    scratch: Path,
    progress: Progress = silent,
) -> Archived:
    """Writes the database as it is now to `target`, whose name gets `.age` where it is encrypted. Others may write meanwhile.

    What is to be encrypted lies plain in a private folder in `scratch` meanwhile, so that it never is on the backup's medium.

    Raises:
        StrongroomError: it cannot be read, or there is a file already.
        BackupError: the disk of the copy is full.
    """
    with _private_folder(scratch if locks else target.parent) as folder, _writing(folder.parent):
        plain = folder / target.name
        left_out: tuple[str, ...] = ()
        if url.get_backend_name() == "sqlite":
            copy_database(Path(str(url.database)), plain)
        else:
            copying = Copying(
                source=url,
                target=sqlite_url(str(plain)),
                components=components,
                is_used=True,
                progress=progress,
            )
            left_out = (await copying.copy()).left_out
        revisions, found = await inventory(plain, components, progress)
        kept = _keep_encrypted(plain, target, locks, entropy) if locks else _keep(plain, target)
        return Archived(
            file=kept.name,
            size=kept.stat().st_size,
            sha256=_sha256(kept),
            revisions=dict(revisions),
            rows={one.name: one.rows for one in found},
            hashes={one.name: one.hash for one in found},
            left_out=list(left_out),
        )


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Tells a copy that cannot be written from an original that cannot be read, which nobody writes."""
    try:
        yield
    except Unavailable as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, sqlite3.Error):
            cause = cause.__cause__
        if cause is None or cause.sqlite_errorcode not in WRITE_FAULTS:
            raise
        raise BackupError(
            f"{folder} cannot be written: {cause}. Nothing was left there", code="backup_not_written"
        ) from error


def _keep_encrypted(plain: Path, target: Path, locks: Sequence[Lock], entropy: Entropy) -> Path:
    with _private_folder(target.parent) as folder:
        made = folder / (target.name + ENCRYPTED)
        with plain.open("rb") as source, made.open("xb") as encrypted:
            age.encrypt(source, encrypted, locks, entropy)
        return _keep(made, target.with_name(made.name))


def _keep(made: Path, target: Path) -> Path:
    """Gives a whole file its name. Raises: BackupError: there is one of that name."""
    _sync(made)
    try:
        os.link(made, target)
    except FileExistsError:
        raise BackupError(f"{target} already exists: name a new folder", code="backup_exists") from None
    return target


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Makes the folder a backup, at once. Raises: Conflict: it is one."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    path = folder / MANIFEST
    put_file(path, lambda draft: _write(draft, text))
    _sync(path)


def _write(draft: Path, text: bytes) -> None:
    draft.write_bytes(text)


def read_manifest(folder: Path) -> Manifest:
    """Raises: BackupError: there is none, or none that is understood."""
    path = folder / MANIFEST
    if not path.is_file():
        raise BackupError(
            f"{folder} is no complete backup: {MANIFEST} is missing. Name the folder that `strongroom backup` made",
            code="backup_incomplete",
        )
    text = path.read_bytes()
    try:
        head = decode_json(text, _Head)
        if head.format > FORMAT:
            raise BackupError(
                f"{folder} was made by version {head.version}, in a newer format: restore it with that version",
                code="backup_newer",
            )
        manifest = decode_json(text, Manifest)
    except msgspec.DecodeError:
        manifest = None
    if manifest is None or manifest.format < 1 or not manifest.ledgers:
        raise BackupError(f"{path} is damaged: use another backup")
    return manifest


@contextmanager
def opened(folder: Path, archived: Archived, keys: Sequence[Key], scratch: Path) -> Iterator[Path]:
    """Checks a file of a backup, and gives the database in it to read.

    What was encrypted lies meanwhile in a private folder in `scratch`, which is removed afterwards.

    Raises:
        BackupError: it is missing, cut or changed, or the passphrase or identity is not the one.
    """
    path = folder / archived.file
    if Path(archived.file).name != archived.file:
        raise BackupError(f"{folder / MANIFEST} names a file outside of the backup: use another backup")
    if not path.is_file():
        raise BackupError(f"{path} is missing: use another backup", code="backup_incomplete")
    if (size := path.stat().st_size) != archived.size:
        raise BackupError(f"{path} has {size} bytes, and {archived.size} were written: use another backup")
    if _sha256(path) != archived.sha256:
        raise BackupError(f"{path} was changed, or its medium is damaged: use another backup")
    if path.suffix != ENCRYPTED and keys:
        raise BackupError(
            f"{path} is not encrypted, and a passphrase or an identity is given: somebody may have put it there. Give none"
            " if the backup was made without",
            code="backup_not_encrypted",
        )
    if path.suffix != ENCRYPTED:
        yield path
        return
    with _private_folder(scratch) as private:
        plain = private / path.name.removesuffix(ENCRYPTED)
        with path.open("rb") as source, plain.open("xb") as target:
            _decrypt(path, source, target, keys)
        yield plain


async def check(plain: Path, archived: Archived, components: Sequence[Revisions], progress: Progress) -> None:
    """Compares the database in a backup with its manifest, table by table. Raises: BackupError."""
    try:
        revisions, found = await inventory(plain, components, progress)
    except DatabaseUnavailable as error:
        raise BackupError(f"{archived.file} is no intact database: use another backup") from error
    wrong = [one.name for one in found if archived.hashes.get(one.name) != one.hash]
    missing = archived.rows.keys() - {one.name for one in found}
    if wrong or missing or dict(revisions) != archived.revisions:
        names = ", ".join(sorted({*wrong, *missing})) or "its versions"
        raise BackupError(f"{archived.file} has not what its manifest says, in {names}: use another backup")


async def inventory(
    plain: Path, components: Sequence[Revisions], progress: Progress
) -> tuple[Mapping[str, str], list[TableDigest]]:
    """The revisions, and the count and hash of each table of a file.

    Raises:
        BackupError: numbers of the audit trail are missing.
    """

    def work() -> tuple[Mapping[str, str], list[TableDigest]]:
        with snapshot(sqlite_url(str(plain))) as connection:
            return _inventory(connection, components, progress)

    return await run(work)


async def inspect_trail(url: URL) -> int:
    """How many rows the audit trail has, as far as can be seen without keys. Raises: BackupError: some are missing."""

    def work() -> int:
        with snapshot(url) as connection:
            require_trail(connection)
            return int(connection.scalar(text("SELECT COUNT(*) FROM strongroom_audit")) or 0)

    return await run(work)


def require_trail(connection: Connection) -> None:
    """Makes sure that no number is missing in a lane of the audit trail. `strongroom audit verify` checks it with the key.

    Raises: BackupError.
    """
    if "lane" not in read_shapes(connection)["strongroom_audit"].columns:
        return
    found = {lane: (rows, low, high) for lane, rows, low, high in connection.execute(text(TRAIL[0]))}
    for lane, number in connection.execute(text(TRAIL[1])):
        rows, low, high = found.get(lane, (0, 1, 0))
        if rows != high - low + 1 or high != number:
            raise BackupError(
                f"Rows of the audit trail are missing: lane {lane} has {rows} of the numbers {low} to {number}",
                code="backup_trail_broken",
            )


def _inventory(
    connection: Connection, components: Sequence[Revisions], progress: Progress
) -> tuple[Mapping[str, str], list[TableDigest]]:
    revisions = read_revisions(connection, components)
    require_trail(connection)
    found = []
    for name, shape in sorted(read_shapes(connection).items()):
        done = 0

        def step(rows: int, name: str = name) -> None:
            nonlocal done
            done += rows
            progress("check", name, done, done)

        found.append(digest(connection, shape, pair(shape, shape), step))
    return revisions, found


def _decrypt(path: Path, source: BinaryIO, target: BinaryIO, keys: Sequence[Key]) -> None:
    if not keys:
        raise BackupError(
            f"{path} is encrypted: give its passphrase or its identity", code="backup_encrypted"
        )
    try:
        age.decrypt(source, target, keys)
    except age.WrongKey:
        raise BackupError(
            f"{path} does not open with this passphrase or identity", code="backup_key_wrong"
        ) from None
    except age.NotAge:
        raise BackupError(f"{path} is damaged: use another backup") from None


@contextmanager
def _private_folder(parent: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=parent, prefix=".backup-") as name:  # mode 0700
        yield Path(name)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
