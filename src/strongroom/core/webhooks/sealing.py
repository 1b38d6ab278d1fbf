"""Seals the URL and the secrets of an endpoint, bound to what else its row says.

So whoever writes the database can neither read them, nor move them to another endpoint, nor change what is sent to them: an
endpoint whose row was changed is not opened any more.
"""

from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from strongroom.core.clock import Entropy
from strongroom.core.errors import VaultError
from strongroom.core.json_decoder import decode_json
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.webhooks.endpoint import Private, Wanted

PURPOSE: Final = b"webhooks"
NONCE_BYTES: Final = 12


class EndpointSealing:
    """Seals and opens while the service is not sealed."""

    def __init__(self, key: TrailKey, entropy: Entropy) -> None:
        self._key = key
        self._entropy = entropy

    def seal(self, endpoint_id: str, shown_url: str, wanted: Wanted, private: Private) -> bytes:
        """Raises: Sealed."""
        nonce = self._entropy.token(NONCE_BYTES)
        plaintext = msgspec.json.encode(private)
        return nonce + self._cipher().encrypt(nonce, plaintext, _bound(endpoint_id, shown_url, wanted))

    def open(self, endpoint_id: str, shown_url: str, wanted: Wanted, sealed: bytes) -> Private:
        """Raises: Sealed; VaultError: the row was changed past the service, or another key sealed it."""
        nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            plaintext = self._cipher().decrypt(nonce, ciphertext, _bound(endpoint_id, shown_url, wanted))
        except (InvalidTag, ValueError):
            raise VaultError(
                "the endpoint was changed past the service, or sealed under another key"
            ) from None
        return decode_json(plaintext, Private)

    def _cipher(self) -> ChaCha20Poly1305:
        return ChaCha20Poly1305(self._key.derive(PURPOSE))


def _bound(endpoint_id: str, shown_url: str, wanted: Wanted) -> bytes:
    return msgspec.json.encode([endpoint_id, shown_url, wanted.kinds, wanted.wallets])
