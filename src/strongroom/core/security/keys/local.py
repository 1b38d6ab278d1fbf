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
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
