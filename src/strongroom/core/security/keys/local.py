"""Reads a key-encryption key from hex digits or from a file on this machine, and makes such a file."""

import contextlib
import os
import tempfile
from pathlib import Path

from strongroom.core.clock import Entropy
from strongroom.core.errors import VaultError
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
    return key_from_hex(path.read_text())


def make_secret_file(path: Path, entropy: Entropy) -> None:
    """Makes a file with 256 random bits as hex digits, unless the file exists."""
    if not path.exists():
        _make(path, entropy.token(KEY_BYTES).hex().upper() + "\n")


def settle_key_files(file: Path, check: bytes) -> None:
    """Gives the file of the key that was the next one the name of the current one; the old one is kept beside it.

    `check` is that of the active key. The function may be killed at any point and run again.
    """
    following = file.with_name(f"{file.name}.next")
    if not following.exists() or key_from_hex(following.read_text()).check() != check:
        return
    if key_from_hex(file.read_text()).check() != check:
        number = 1
        while (earlier := file.with_name(f"{file.name}.v{number}")).exists():
            if earlier.samefile(file):
                break
            number += 1
        with contextlib.suppress(FileExistsError):
            os.link(file, earlier)
    following.replace(file)
    _sync_folder(file.parent)


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
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        Path(draft).unlink()
    _sync_folder(path.parent)
