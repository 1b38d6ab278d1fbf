"""Reads a key-encryption key from hex digits or from a file on this machine, and makes such a file."""

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from strongroom.core.clock import Entropy
from strongroom.core.errors import VaultError
from strongroom.core.secret_files import read_secret_file
from strongroom.core.security.vault import KEY_BYTES, KeyEncryptionKey


def key_from_hex(text: str) -> KeyEncryptionKey:
    """Reads a key of 64 hex digits; white space around it is ignored."""
    try:
        return KeyEncryptionKey(bytes.fromhex(text.strip()))
    except ValueError:
        raise VaultError(f"the key-encryption key must be {2 * KEY_BYTES} hex digits") from None


def key_from_file(path: Path, entropy: Entropy) -> KeyEncryptionKey:
    """Reads the key file of an installation that keeps its own key; makes the file, readable only by its owner, if missing."""
    make_secret_file(path, entropy)
    return key_from_hex(read_secret_file(path))


def make_secret_file(path: Path, entropy: Entropy) -> None:
    """Makes a file with 256 random bits as hex digits, unless the file exists."""
    if not path.exists():
        _make(path, entropy.token(KEY_BYTES).hex().upper() + "\n")


def settle_key_files(file: Path, check: bytes, numbers: Mapping[bytes, int]) -> None:
    """Gives the file of the key that was the next one the name of the current one; the old one is kept beside it.

    `check` is that of the active key. The old one is named by its version, of which `numbers` has the checks, so that no file is ever
    mistaken for another one that was put elsewhere. The function may be killed at any point, run again, and run twice at once.
    """
    following = file.with_name(f"{file.name}.next")
    with contextlib.suppress(FileNotFoundError):  # another process has done it meanwhile
        if key_from_hex(read_secret_file(following)).check() != check:
            return
        old = key_from_hex(read_secret_file(file)).check()
        if old != check:
            _keep_beside(file, old, numbers.get(old, 1))
        following.replace(file)
        _sync_folder(file.parent)


def _keep_beside(file: Path, check: bytes, version: int) -> None:
    """Keeps the key of this check, which `file` has, under the name of its version, or one like it if another key has that name."""
    text = read_secret_file(file)
    if key_from_hex(text).check() != check:
        return  # another process has settled it
    name = kept = f"{file.name}.v{version}"
    number = 1
    while (beside := file.with_name(kept)).exists():
        if key_from_hex(read_secret_file(beside)).check() == check:
            return
        number += 1
        kept = f"{name}-{number}"
    _make(beside, text)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make(path: Path, text: str) -> None:
    """Makes the file complete and on disk before it is used, because losing a key loses all that it sealed.

    If another process has made the file meanwhile, that one stays.
    """
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
    try:
        try:
            os.write(descriptor, text.encode())  # no buffer keeps it
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        Path(draft).unlink()
    _sync_folder(path.parent)
