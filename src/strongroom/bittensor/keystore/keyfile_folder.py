"""A folder of wallets as btwallet keeps them: <path>/<wallet>/{coldkey, coldkeypub.txt, hotkeys/<name>}."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from strongroom.bittensor.keystore.names import KeyKind, KeyName, coldkey, hotkey, is_name
from strongroom.bittensor.protocol.errors import KeyFileError
from strongroom.bittensor.protocol.keyfiles import (
    MAX_FILE,
    PublicKey,
    password_variable,
    read_public,
    reveal_password,
)
from strongroom.core.errors import Conflict

HOTKEYS = "hotkeys"
PUBLIC_SUFFIX = "pub.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """One file as it was read. `stamp` differs when it may have changed."""

    path: Path
    stamp: tuple[int, int, int]
    data: bytes = field(repr=False)


class WalletFolder:
    """Reads files, in the caller's thread. Names are checked before they get here."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def key_file(self, key: KeyName) -> KeyFile | None:
        return _read(self.path_of(key))

    def path_of(self, key: KeyName) -> Path:
        if key.kind is KeyKind.COLDKEY:
            return self.path / key.wallet / KeyKind.COLDKEY
        return self.path / key.wallet / HOTKEYS / key.name

    def public(self, key: KeyName) -> PublicKey | None:
        """Reads the public key from the public file, or from a key file that is not encrypted.

        Raises:
            KeyFileError: neither file has it.
        """
        path = self.path_of(key)
        public_file = _read(path.with_name(f"{path.name}{PUBLIC_SUFFIX}"))
        if public_file is not None:
            return read_public(public_file.data)
        own_file = _read(path)
        return None if own_file is None else read_public(own_file.data)

    def write(self, key: KeyName, data: bytes, public: bytes) -> Path:
        """Writes the key's file, for this user alone, and its public file. It replaces none.

        Raises:
            Conflict: a file of the key is there.
        """
        path = self.path_of(key)
        public_path = path.with_name(f"{path.name}{PUBLIC_SUFFIX}")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if public_path.exists() and read_public(public_path.read_bytes()) != read_public(public):
            raise Conflict(f"{public_path} is that of another key")
        _create(path, data, mode=0o600)
        if not public_path.exists():
            _create(public_path, public, mode=0o644)
        return path

    def has_wallet(self, wallet: str) -> bool:
        return (self.path / wallet).is_dir()

    def wallets(self) -> list[str]:
        return sorted(entry.name for entry in _entries(self.path) if entry.is_dir() and is_name(entry.name))

    def keys(self, wallet: str) -> list[KeyName]:
        """Lists the coldkey, if its file or its public file exists, and the hotkeys."""
        found = [coldkey(wallet)]
        if not any((self.path / wallet / name).is_file() for name in ("coldkey", "coldkeypub.txt")):
            found = []
        names = {entry.name for entry in _entries(self.path / wallet / HOTKEYS) if entry.is_file()}
        names -= {f"{name}{PUBLIC_SUFFIX}" for name in names}
        return found + [hotkey(wallet, name) for name in sorted(names) if is_name(name)]


def _create(path: Path, data: bytes, *, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise Conflict(f"{path} is there already, and no key file is replaced") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def password_for(path: Path, variables: Mapping[str, str], general: str | None) -> str | None:
    """Returns the password of a key file: that of its own variable, or else the general one.

    Raises:
        KeyFileError: the variable's value does not have the form that btwallet writes.
    """
    variable = password_variable(str(path))
    value = variables.get(variable)
    return reveal_password(variable, value) if value else general


def _read(path: Path) -> KeyFile | None:
    try:
        with path.open("rb") as file:
            # Of the opened file, and before it is read: another file may take its path meanwhile, or other bytes its place.
            status = os.fstat(file.fileno())
            data = file.read(MAX_FILE + 1)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise KeyFileError(f"The key file cannot be read: {error.strerror}") from None
    if len(data) > MAX_FILE:
        raise KeyFileError("The key file is too large to be one")
    return KeyFile(path=path, stamp=(status.st_mtime_ns, status.st_size, status.st_ino), data=data)


def _entries(path: Path) -> list[Path]:
    try:
        return list(path.iterdir())
    except OSError:
        return []
