"""A key-encryption key given as hex, or kept in a file of this machine."""

import os
from pathlib import Path

from strongroom.core.clock import Entropy
from strongroom.core.errors import VaultError
from strongroom.core.vault import KEY_BYTES, KeyEncryptionKey


def key_from_hex(text: str) -> KeyEncryptionKey:
    """Reads 64 hex digits, surrounding white space allowed."""
    try:
        return KeyEncryptionKey(bytes.fromhex(text.strip()))
    except ValueError:
        raise VaultError(f"the key-encryption key must be {2 * KEY_BYTES} hex digits") from None


def key_from_file(path: Path, entropy: Entropy) -> KeyEncryptionKey:
    """Reads the key of an installation that manages its own, made at the first start, readable by its owner alone."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return key_from_hex(path.read_text())
    with os.fdopen(descriptor, "w") as file:
        file.write(entropy.token(KEY_BYTES).hex().upper() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return key_from_hex(path.read_text())
