"""Finds a ledger's key-encryption key, and refuses unsafe ones.

The key is given in a variable or in a file that a variable names, or the installation keeps its own in its data folder. A file
that other users may read and a key that is easy to guess are refused. An operator who must use one for a while allows it by the
ledger's name.
"""

import os
import stat
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from strongroom.core.environment import Environment, Secret
from strongroom.core.errors import VaultError
from strongroom.core.security.keys.local import key_from_hex
from strongroom.core.security.vault import KEY_BYTES, KeyEncryptionKey

ALLOW_WEAK = "STRONGROOM_ALLOW_WEAK_KEYS"
ALLOW_READABLE = "STRONGROOM_ALLOW_READABLE_KEYS"
FEWEST_VALUES = 8
MAX_FILE = 4096
ROOT = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySource:
    """Where one ledger's key-encryption key is."""

    ledger: str
    variable: str
    origin: str
    """The variable or the file where the operator looks when the key is wrong."""
    given: Secret | None
    """The key from a variable; None: the installation keeps its own in `file`."""
    file: Path
    allow_weak: bool = False
    allow_readable: bool = False

    def load(self) -> KeyEncryptionKey | None:
        """The key; None if the installation's own file does not exist.

        Raises:
            VaultError: it is not a key, it is weak, or other users may read its file; the message names the place.
        """
        if self.given is not None:
            return self._checked(self.given.reveal())
        if not os.path.lexists(self.file):
            return None
        try:
            text = read_key_file(self.file, allow_readable=self.allow_readable, ledger=self.ledger)
        except (ValueError, OSError) as error:
            raise VaultError(f"{self.file}: {_words(error)}", code="key_file") from None
        return self._checked(text)

    def _checked(self, text: str) -> KeyEncryptionKey:
        try:
            key = key_from_hex(text)
        except VaultError as error:
            raise VaultError(f"{self.origin}: {error.message}", code="key_file") from None
        if not self.allow_weak:
            try:
                require_strong(key.reveal(), self.ledger)
            except ValueError as error:
                raise VaultError(f"{self.origin}: {error}", code="weak_key") from None
        return key


def read_key_source(environment: Environment, *, ledger: str, variable: str, file: Path) -> KeySource:
    """Reads `variable` or `<variable>_FILE`; `environment` collects the mistakes."""
    weak = ledger in environment.names(ALLOW_WEAK)
    readable = ledger in environment.names(ALLOW_READABLE)
    path = environment.optional(f"{variable}_FILE")
    given = environment.secret(variable)
    origin = str(file)
    if given is not None:
        origin = variable if environment.is_set(variable) else f"{variable}_FILE ({path})"
    source = KeySource(
        ledger=ledger,
        variable=variable,
        origin=origin,
        given=given,
        file=file,
        allow_weak=weak,
        allow_readable=readable,
    )
    if given is None:
        return source
    if path is not None and not environment.is_set(variable):
        try:
            require_private(os.stat(path), allow_readable=readable, ledger=ledger)  # noqa: PTH116 - of a pipe too
        except (ValueError, OSError) as error:
            environment.mistake(f"{variable}_FILE: {path}: {_words(error)}")
    try:
        source.load()
    except VaultError as error:
        environment.mistake(error.message)
    return source


def read_key_file(path: Path, *, allow_readable: bool, ledger: str) -> str:
    """The text of a key file. Its mode is checked on the open file, so that it cannot be exchanged in between.

    Raises:
        ValueError: it is not a regular file, it is empty, or other users may read it.
        OSError: it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is not a regular file")
        require_private(found, allow_readable=allow_readable, ledger=ledger)
        data = file.read(MAX_FILE)
    if not data.strip():
        raise ValueError("the file is empty: put the key back from its backup")
    return data.decode(errors="replace")


def require_private(found: os.stat_result, *, allow_readable: bool, ledger: str) -> None:
    """Makes sure that other users cannot read or replace a key file.

    Its group may read it, because Kubernetes gives a pod's files to the pod's group (fsGroup).

    Raises:
        ValueError: every user of the machine may read or replace it, or it belongs to another user.
    """
    if allow_readable or not stat.S_ISREG(found.st_mode):
        return
    way_out = (
        f"If that is intended, as for a secret that only a container sees, add {ledger} to {ALLOW_READABLE}"
    )
    if found.st_mode & stat.S_IRWXO:
        mode = stat.S_IMODE(found.st_mode)
        raise ValueError(f"other users may read it (mode {mode:04o}): run chmod o= on it. {way_out}")
    if found.st_uid not in {ROOT, os.geteuid()}:
        raise ValueError(
            f"it belongs to the user {found.st_uid}, and this process runs as {os.geteuid()}: run chown on it. {way_out}"
        )


def require_strong(key: bytes, ledger: str) -> None:
    """Raises ValueError for a key that is easy to guess: zeros, a repeated value, a pattern, or consecutive numbers."""
    if not is_guessable(key):
        return
    raise ValueError(
        "the key is zeros or a pattern, which is easy to guess: who steals the database can open its secrets. Change it"
        f" (docs/operations.md, Change the key-encryption key); until then, add {ledger} to {ALLOW_WEAK}"
    )


def is_guessable(key: bytes) -> bool:
    """Whether a key is zeros, a repeated value, a pattern, or consecutive numbers."""
    steps = {(after - before) % 256 for before, after in pairwise(key)}
    repeats = any(key == key[:size] * (KEY_BYTES // size) for size in (1, 2, 4, 8, 16))
    return len(set(key)) < FEWEST_VALUES or len(steps) <= 1 or repeats


def _words(error: ValueError | OSError) -> str:
    """The text of an error, without the path for an operating system's error, because the message names it already."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
