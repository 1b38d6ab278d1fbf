"""A key-encryption key given as hex, or kept in a file of this machine."""

import contextlib
import os
import tempfile
from pathlib import Path

from strongroom.core.clock import Entropy
from strongroom.core.errors import VaultError
from strongroom.core.security.vault import KEY_BYTES, KeyEncryptionKey


def key_from_hex(text: str) -> KeyEncryptionKey:
    """Reads 64 hex digits, surrounding white space allowed."""
    try:
        return KeyEncryptionKey(bytes.fromhex(text.strip()))
    except ValueError:
        raise VaultError(f"the key-encryption key must be {2 * KEY_BYTES} hex digits") from None


def key_from_file(path: Path, entropy: Entropy) -> KeyEncryptionKey:
    """Reads the key of an installation that manages its own, made at the first start, readable by its owner alone."""
    make_secret_file(path, entropy)
    return key_from_hex(path.read_text())


def make_secret_file(path: Path, entropy: Entropy) -> None:
    """A file of 256 random bits as hex, unless there is one."""
    if not path.exists():
        _make(path, entropy.token(KEY_BYTES).hex().upper() + "\n")


def _make(path: Path, text: str) -> None:
    """Puts the file in place whole and on disk: what a lost key sealed is lost. An existing one wins."""
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
