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
from strongroom.core.secret_files import read_secret, read_secret_file
from strongroom.core.security.keys.backends.settings import (
    BackendSettings,
    key_backend_variable,
    read_key_backends,
)
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
    next_given: Secret | None = None
    """The key that follows this one, or that came before it: while the key is changed, both are here."""
    next_origin: str = ""
    backends: tuple[BackendSettings, ...] = ()
    """What wraps keys for the database; the last one wraps new keys."""

    @property
    def backend_variable(self) -> str:
        return key_backend_variable(self.ledger)

    @property
    def next_file(self) -> Path:
        """Where an installation that keeps its own key keeps the one that follows it."""
        return self.file.with_name(f"{self.file.name}.next")

    def found(self) -> "list[FoundKey]":
        """All keys that are here, the configured one first.

        Raises:
            VaultError: one of them is not a key, is weak, or other users may read its file.
        """
        if self.given is not None:
            found = [FoundKey(key=self._checked(self.given.reveal()), origin=self.origin)]
            if self.next_given is not None:
                after = self._checked(self.next_given.reveal(), self.next_origin)
                found.append(FoundKey(key=after, origin=self.next_origin))
            return found
        earlier = sorted(self.file.parent.glob(f"{self.file.name}.v*"))
        paths = [self.file, self.next_file, *earlier]
        return [
            FoundKey(key=key, origin=str(path))
            for path in paths
            if (key := self._load_file(path)) is not None
        ]

    def load(self) -> KeyEncryptionKey | None:
        """The key; None if the installation's own file does not exist.

        Raises:
            VaultError: it is not a key, it is weak, or other users may read its file; the message names the place.
        """
        if self.given is not None:
            return self._checked(self.given.reveal())
        return self._load_file(self.file)

    def _load_file(self, path: Path) -> KeyEncryptionKey | None:
        if not os.path.lexists(path):
            return None
        try:
            text = read_key_file(path, allow_readable=self.allow_readable, ledger=self.ledger)
        except (ValueError, OSError) as error:
            raise VaultError(f"{path}: {_words(error)}", code="key_file") from None
        return self._checked(text, str(path))

    def _checked(self, text: str, origin: str | None = None) -> KeyEncryptionKey:
        origin = self.origin if origin is None else origin
        try:
            key = key_from_hex(text)
        except VaultError as error:
            raise VaultError(f"{origin}: {error.message}", code="key_file") from None
        if not self.allow_weak:
            try:
                require_strong(key.reveal(), self.ledger)
            except ValueError as error:
                raise VaultError(f"{origin}: {error}", code="weak_key") from None
        return key


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundKey:
    """A key that this process was given."""

    key: KeyEncryptionKey
    origin: str


class FileSecret(Secret):
    """A key in a file that a variable names. It is read each time, so that a process which is sealed does not have it in memory."""

    __slots__ = ("_origin", "_path")

    def __init__(self, path: str, origin: str) -> None:
        super().__init__("")
        self._path = path
        self._origin = origin

    def __repr__(self) -> str:
        return "[in a file]"

    def reveal(self) -> str:
        """Raises: VaultError: the file is not there any more, or is none that can be read."""
        try:
            return read_secret_file(self._path).strip()
        except UnicodeDecodeError:
            raise VaultError(f"{self._origin}: it is not text", code="key_file") from None
        except (OSError, ValueError) as error:
            raise VaultError(f"{self._origin}: {_words(error)}", code="key_file") from None


def read_key_source(environment: Environment, *, ledger: str, variable: str, file: Path) -> KeySource:
    """Reads `variable` or `<variable>_FILE`, and `<variable>_NEXT` or `<variable>_NEXT_FILE` for the key that follows it.

    `environment` collects the mistakes.
    """
    weak = ledger in environment.names(ALLOW_WEAK)
    readable = ledger in environment.names(ALLOW_READABLE)
    given, origin = _given(environment, variable), _origin(environment, variable)
    following = f"{variable}_NEXT"
    after = _given(environment, following)
    source = KeySource(
        ledger=ledger,
        variable=variable,
        origin=str(file) if given is None else origin,
        given=given,
        file=file,
        allow_weak=weak,
        allow_readable=readable,
        next_given=after,
        next_origin=_origin(environment, following),
        backends=read_key_backends(environment, ledger=ledger),
    )
    if given is None:
        if after is not None:
            environment.mistake(f"{source.next_origin} is set, and {variable} is not: set both")
        return source
    for name in (variable, following):
        path = environment.optional(f"{name}_FILE")
        if path is None or environment.is_set(name):
            continue
        try:
            require_private(os.stat(path), allow_readable=readable, ledger=ledger)  # noqa: PTH116 - of a pipe too
        except (ValueError, OSError) as error:
            environment.mistake(f"{name}_FILE: {path}: {_words(error)}")
    try:
        source.found()
    except VaultError as error:
        environment.mistake(error.message)
    return source


def _given(environment: Environment, name: str) -> Secret | None:
    """The key of a variable; of a file that can be read again, only where it is."""
    given, path = environment.secret(name), environment.optional(f"{name}_FILE")
    if given is None or path is None or environment.is_set(name) or not Path(path).is_file():
        return given
    return FileSecret(path, _origin(environment, name))


def _origin(environment: Environment, name: str) -> str:
    """Where an operator looks for a secret that was given."""
    path = environment.optional(f"{name}_FILE")
    return name if environment.is_set(name) or path is None else f"{name}_FILE ({path})"


def read_key_file(path: Path, *, allow_readable: bool, ledger: str) -> str:
    """The text of a key file. Its mode is checked on the open file, so that it cannot be exchanged in between.

    Raises:
        ValueError: it is not a regular file, it is empty, or other users may read it.
        OSError: it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is not a regular file")
        require_private(found, allow_readable=allow_readable, ledger=ledger)
        text = read_secret(descriptor, MAX_FILE, errors="replace")
    finally:
        os.close(descriptor)
    if not text.strip():
        raise ValueError("the file is empty: put the key back from its backup")
    return text


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
