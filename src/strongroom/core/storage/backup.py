"""Copies of SQLite databases and of secret files that nobody else can read, each whole or not there."""

import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from strongroom.core.errors import Conflict, NotFound, Unavailable

PAGES_AT_ONCE = 4096


def make_private_folder(folder: Path) -> None:
    """Raises: Conflict: it is there, and others may look into it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        raise Conflict(f"Other users may look into {folder}: chmod 700 it")


def copy_database(source: Path, target: Path) -> None:
    """Copies a database while others write into it: what was committed when the copy ends, and nothing half.

    Raises:
        NotFound: there is no such database.
        Conflict: the target is there.
        Unavailable: the database cannot be read, or the copy is not sound.
    """
    if not source.is_file():
        raise NotFound(f"There is no database {source}")

    def copy(draft: Path) -> None:
        uri = f"{source.absolute().as_uri()}?mode=ro"
        try:
            with (
                closing(sqlite3.connect(uri, uri=True)) as original,
                closing(sqlite3.connect(draft)) as copied,
            ):
                original.backup(copied, pages=PAGES_AT_ONCE)
                (verdict,) = copied.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as error:
            raise Unavailable(f"{source} cannot be copied: {error}") from error
        if verdict != "ok":
            raise Unavailable(f"The copy of {source} is not sound: {verdict}")

    _put(target, copy)


def copy_secret(source: Path, target: Path) -> None:
    """Raises: Conflict: the target is there and holds something else."""
    data = source.read_bytes()
    if target.exists() and target.read_bytes() == data:
        return
    _put(target, lambda draft: _write(draft, data))


def _write(draft: Path, data: bytes) -> None:
    draft.write_bytes(data)


def _put(target: Path, make: Callable[[Path], None]) -> None:
    """The target is there whole and on disk, or not at all; one that is there is never replaced."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")  # mode 0600
    draft = Path(name)
    try:
        make(draft)
        os.fsync(descriptor)
        os.link(draft, target)
    except FileExistsError:
        raise Conflict(f"{target} is there already: name a new folder") from None
    finally:
        os.close(descriptor)
        for left in draft.parent.glob(f"{draft.name}*"):
            left.unlink()
