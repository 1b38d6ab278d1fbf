"""Copies SQLite databases and secret files. Other users cannot read a copy, and a copy is complete or does not exist."""

import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from strongroom.core.errors import Conflict, NotFound, Unavailable

PAGES_AT_ONCE = 4096


def make_private_folder(folder: Path) -> None:
    """Makes a folder that only this user can read.

    Raises:
        Conflict: the folder exists, and other users may read it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        raise Conflict(f"Other users may read {folder}: run chmod 700 on it")


def copy_database(source: Path, target: Path) -> None:
    """Copies a database while other processes write to it. The copy has exactly the transactions committed until its end.

    Raises:
        NotFound: there is no such database.
        Conflict: the target exists.
        Unavailable: the database cannot be read, or the copy is damaged.
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
            raise Unavailable(f"The copy of {source} is damaged: {verdict}")

    put_file(target, copy)


def copy_secret(source: Path, target: Path) -> None:
    """Copies a file with a secret; does nothing if the target already has the same content.

    Raises:
        Conflict: the target exists with other content.
    """
    data = source.read_bytes()
    if target.exists() and target.read_bytes() == data:
        return
    put_file(target, lambda draft: _write(draft, data))


def _write(draft: Path, data: bytes) -> None:
    draft.write_bytes(data)


def put_file(target: Path, make: Callable[[Path], None]) -> None:
    """Makes the target complete and on disk, or not at all; never replaces an existing one.

    `os.link` fails if the target exists, where `os.rename` would replace it.
    """
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")  # mode 0600
    draft = Path(name)
    try:
        make(draft)
        os.fsync(descriptor)
        os.link(draft, target)
    except FileExistsError:
        raise Conflict(f"{target} already exists: name a new folder") from None
    finally:
        os.close(descriptor)
        for leftover in draft.parent.glob(f"{draft.name}*"):  # the draft, and SQLite's files beside it
            leftover.unlink()
