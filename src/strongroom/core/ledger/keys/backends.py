"""Makes the backend of a key-encryption key. What a backend needs is imported when it is configured."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from strongroom.core.clock import Clock, Entropy, SystemClock, SystemEntropy
from strongroom.core.errors import VaultError
from strongroom.core.http.outbound.client import HttpClient, OutboundError, OutboundResponse
from strongroom.core.security.custody.backends import KeyBackends
from strongroom.core.security.keys.backends.backend import REFUSED, KeyBackend
from strongroom.core.security.keys.backends.exchange import NoReply
from strongroom.core.security.keys.backends.settings import (
    BackendSettings,
    KmsSettings,
    Pkcs11Settings,
    VaultSettings,
)
from strongroom.core.security.keys.backends.vault import VaultBackend
from strongroom.core.security.keys.source import KeySource

ANSWER_S = 10.0
MAX_ANSWER_BYTES = 65_536


def make_key_backend(settings: BackendSettings, *, ledger: str, entropy: Entropy) -> KeyBackend:
    """The backend of one ledger; it asks nothing yet.

    Raises:
        VaultError: the file of VAULT_CACERT or AWS_CA_BUNDLE contains no certificates.
    """
    match settings:
        case VaultSettings():
            return VaultBackend(settings, ledger, OutboundAsker(_client(settings.ca_file, "VAULT_CACERT")))
        case KmsSettings():
            from strongroom.core.security.keys.backends.kms import KmsBackend  # noqa: PLC0415

            return KmsBackend(settings, ledger, OutboundAsker(_client(settings.ca_file, "AWS_CA_BUNDLE")))
        case Pkcs11Settings():
            from strongroom.core.security.keys.backends.pkcs11 import Pkcs11Backend  # noqa: PLC0415

            return Pkcs11Backend(settings, ledger, entropy)


def open_backends(source: KeySource, clock: Clock, entropy: Entropy) -> KeyBackends:
    """The backends of one ledger, for the caller to close. Raises: VaultError."""
    backends = [make_key_backend(one, ledger=source.ledger, entropy=entropy) for one in source.backends]
    return KeyBackends(backends, variable=source.backend_variable, clock=clock, entropy=entropy)


@asynccontextmanager
async def opened_backends(source: KeySource) -> AsyncIterator[KeyBackends]:
    """The backends of one ledger, for a command. Raises: VaultError."""
    backends = open_backends(source, SystemClock(), SystemEntropy())
    try:
        yield backends
    finally:
        await backends.close()


class OutboundAsker:
    """See `backends.vault.Asker`: asks through the client that limits every answer."""

    def __init__(self, client: HttpClient, *, timeout_s: float = ANSWER_S) -> None:
        self._client = client
        self._timeout_s = timeout_s

    async def ask(self, url: str, *, data: bytes, headers: dict[str, str]) -> OutboundResponse:
        try:
            return await self._client.ask(
                "POST",
                url,
                data=data,
                headers=headers,
                timeout_s=self._timeout_s,
                max_bytes=MAX_ANSWER_BYTES,
            )
        except OutboundError as error:
            raise NoReply(str(error)) from None

    async def close(self) -> None:
        await self._client.close()


def _client(ca_file: Path | None, variable: str) -> HttpClient:
    if ca_file is None:
        return HttpClient()
    try:
        return HttpClient(tls=ssl.create_default_context(cafile=ca_file))
    except (ssl.SSLError, OSError):
        raise VaultError(f"{variable}: {ca_file} has no certificates in PEM form", code=REFUSED) from None
