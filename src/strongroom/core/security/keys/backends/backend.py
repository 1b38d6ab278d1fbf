"""A backend seals ("wraps") a key-encryption key under a key that never leaves Vault, KMS or an HSM.

The wrapped key lies in the database. Whoever has the database has it too, but only the backend opens it. The service asks the
backend when it starts, when it is unsealed and when keys rotate, never for a signature: what is open goes on while it is away.

There are two kinds of failure, because the service waits for one of them and not for the other:

* `KeyBackendAway`: the backend does not answer, or says that it cannot now. Asking again may help.
* `VaultError` with a code of this module: the backend answered, and no. A person must change a variable or the backend.
"""

from typing import Final, Protocol

from strongroom.core.errors import VaultError
from strongroom.core.security.vault import KEY_BYTES

MAX_WRAPPED_BYTES: Final = 4096
"""The longest wrapped key that is stored. The known ones have less than 300 bytes."""
DENIED: Final = "key_backend_denied"
"""The credentials are wrong, or they do not allow it."""
NO_KEY: Final = "key_backend_key"
"""The backend has no such key, or the key is disabled or of the wrong type."""
WRONG_ANSWER: Final = "key_backend_answer"
"""The backend answered with something that cannot be a key of this service."""
REFUSED: Final = "key_backend_refused"
"""The backend refuses for another reason, as a wrapped key that it did not make."""


class KeyBackend(Protocol):
    """Wraps and unwraps keys of 32 bytes for one ledger.

    Every method but `close` raises `KeyBackendAway` or `VaultError`, and ends within the backend's time limit.
    """

    @property
    def reference(self) -> str:
        """Names the key in the backend, as the operator wrote it: `vault:transit/keys/strongroom`. It holds no secret."""

    async def wrap(self, key: bytes) -> bytes:
        """The key, sealed so that only the backend opens it."""

    async def unwrap(self, wrapped: bytes) -> bytes:
        """The key that `wrap` got. A wrapped key of another ledger is refused."""

    async def rewrap(self, wrapped: bytes) -> bytes:
        """The same key, sealed under the newest version of the backend's key."""

    async def describe(self) -> str:
        """Asks the backend whether it would work now, without a key; says in words what it found."""

    async def close(self) -> None:
        """Closes connections."""


def purpose(ledger: str) -> str:
    """What a wrapped key is bound to, so that one of another ledger does not open."""
    return f"strongroom key-encryption key of {ledger}"


def require_key(key: bytes, backend: KeyBackend) -> bytes:
    """Returns the key that a backend answered with.

    Raises:
        VaultError: it is none.
    """
    if len(key) != KEY_BYTES:
        raise VaultError(
            f"{backend.reference} answered with {len(key)} bytes, and a key-encryption key has {KEY_BYTES}",
            code=WRONG_ANSWER,
        )
    return key


def require_wrapped(wrapped: bytes, backend: KeyBackend) -> bytes:
    """Returns the wrapped key that a backend answered with.

    Raises:
        VaultError: it cannot be one.
    """
    if not KEY_BYTES < len(wrapped) <= MAX_WRAPPED_BYTES:
        raise VaultError(
            f"{backend.reference} answered with a wrapped key of {len(wrapped)} bytes", code=WRONG_ANSWER
        )
    return wrapped


async def wrap_surely(backend: KeyBackend, key: bytes) -> bytes:
    """Wraps a key, and has it unwrapped again before anybody relies on it: what does not open would be lost with all it sealed.

    Raises:
        KeyBackendAway: the backend is away.
        VaultError: it refuses, or gives back another key.
    """
    wrapped = await backend.wrap(key)
    await _require_opens(backend, wrapped, key)
    return wrapped


async def rewrap_surely(backend: KeyBackend, wrapped: bytes, key: bytes) -> bytes:
    """Has a wrapped key sealed anew, and makes sure that it still opens to this key.

    Raises:
        KeyBackendAway: the backend is away.
        VaultError: it refuses, or gives back another key.
    """
    again = await backend.rewrap(wrapped)
    await _require_opens(backend, again, key)
    return again


async def _require_opens(backend: KeyBackend, wrapped: bytes, key: bytes) -> None:
    if await backend.unwrap(wrapped) != key:
        raise VaultError(
            f"{backend.reference} does not give back the key that it wrapped: nothing was stored",
            code=WRONG_ANSWER,
        )
