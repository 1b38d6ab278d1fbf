"""The secret that the audit trail and the tags of rows are made with.

It is there while the ledger's key is open. Whoever can write the database but has no key can make neither a row of the trail nor
a tag. While the service is sealed the secret is not in memory, and what needs it is refused.
"""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from strongroom.core.errors import Sealed

SECRET_BYTES = 32
TRAIL = b"strongroom trail v1"
"""What the secret is derived for, from the key that a ledger has."""
SEALED = "The service is sealed: its keys are not in memory. An operator unseals it first (strongroom unseal)"


class TrailKey:
    """Holds the secret of one ledger. The repr hides it."""

    def __init__(self, secret: bytes | None = None) -> None:
        """Without a secret it is closed."""
        self._secret: bytes | None = None
        self._why = SEALED
        self._derived: dict[bytes, bytes] = {}
        if secret is not None:
            self.open(secret)

    def __repr__(self) -> str:
        return f"TrailKey({'open' if self.is_open else 'closed'})"

    @property
    def is_open(self) -> bool:
        return self._secret is not None

    def open(self, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            raise ValueError(f"the secret has {SECRET_BYTES} bytes, not {len(secret)}")
        self._derived = {}
        self._secret = secret

    def close(self, why: str = SEALED) -> None:
        """`why` is what callers are told from now on."""
        self._secret = None
        self._why = why
        self._derived = {}

    def derive(self, purpose: bytes) -> bytes:
        """A key of 32 bytes for one purpose (HKDF-SHA256, RFC 5869).

        Raises:
            Sealed: the secret is not in memory.
        """
        secret, found = self._secret, self._derived.get(purpose)
        if secret is None:
            raise Sealed(self._why)
        if found is None:
            found = secret_of(secret, purpose)
            self._derived[purpose] = found
        return found


def secret_of(material: bytes, purpose: bytes) -> bytes:
    """32 bytes for one purpose (HKDF-SHA256, RFC 5869), which reveal nothing about what they are made of."""
    return HKDF(algorithm=SHA256(), length=SECRET_BYTES, salt=None, info=purpose).derive(material)
