"""Wraps keys with the transit engine of HashiCorp Vault or OpenBao.

The key's type must authenticate (aes256-gcm96, aes128-gcm96, chacha20-poly1305): the wrapped key is bound to its ledger by
associated data, which is also the context of a derived key.
"""

import asyncio
import base64
from http import HTTPStatus
from typing import Final, TypeVar

import msgspec

from strongroom.core.errors import KeyBackendAway, StrongroomError, VaultError
from strongroom.core.json_decoder import decode_json
from strongroom.core.security.keys.backends.backend import (
    DENIED,
    NO_KEY,
    REFUSED,
    WRONG_ANSWER,
    purpose,
    require_key,
    require_wrapped,
)
from strongroom.core.security.keys.backends.exchange import Asker, NoReply, Reply
from strongroom.core.security.keys.backends.settings import AppRole, GivenSecret, VaultSettings
from strongroom.core.security.vault import KEY_BYTES

T = TypeVar("T")

CIPHERTEXT: Final = b"vault:v"
"""What Vault and OpenBao put before every ciphertext; the version of the key follows."""
WORDS: Final = {
    "encryption key not found": (NO_KEY, "does not exist: make the key, or correct its name"),
    "too old": (NO_KEY, "does not open wrapped keys of this age: lower its min_decryption_version"),
    "non-AEAD": (NO_KEY, "has a type that cannot be used: make a key of the type aes256-gcm96"),
    "no handler for route": (NO_KEY, "does not exist: enable the transit engine, or correct the mount"),
    "namespace not found": (NO_KEY, "does not exist: there is no such VAULT_NAMESPACE"),
    "message authentication failed": (REFUSED, "did not wrap this key, or did so for another ledger"),
}
"""Parts of the server's messages, and what they mean. Other words of the server are not repeated."""
LOGIN_REFUSED: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
FINAL: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}
"""With these a person must act. Every other status may pass: a standby's redirect, a limit, an error of the server."""


class _Ciphertext(msgspec.Struct):
    ciphertext: str


class _Encrypted(msgspec.Struct):
    data: _Ciphertext


class _Plaintext(msgspec.Struct):
    plaintext: str


class _Decrypted(msgspec.Struct):
    data: _Plaintext


class _Auth(msgspec.Struct):
    client_token: str


class _Login(msgspec.Struct):
    auth: _Auth


class VaultBackend:
    """See `backend.KeyBackend`."""

    def __init__(self, settings: VaultSettings, ledger: str, asker: Asker) -> None:
        self._settings = settings
        self._asker = asker
        bound = base64.b64encode(purpose(ledger).encode()).decode()
        self._bound = {"associated_data": bound, "context": bound}

    @property
    def reference(self) -> str:
        return self._settings.reference

    async def wrap(self, key: bytes) -> bytes:
        answer = await self._transit("encrypt", {"plaintext": base64.b64encode(key).decode()}, _Encrypted)
        wrapped = answer.data.ciphertext.encode(errors="replace")
        if not wrapped.startswith(CIPHERTEXT):
            raise self._lied("no ciphertext")
        return require_wrapped(wrapped, self)

    async def unwrap(self, wrapped: bytes) -> bytes:
        if not wrapped.startswith(CIPHERTEXT) or not wrapped.isascii():
            raise VaultError(f"{self.reference} did not make the wrapped key in the database", code=REFUSED)
        answer = await self._transit("decrypt", {"ciphertext": wrapped.decode()}, _Decrypted)
        try:
            key = base64.b64decode(answer.data.plaintext, validate=True)
        except ValueError:
            raise self._lied("no base64 where the key should be") from None
        return require_key(key, self)

    async def rewrap(self, wrapped: bytes) -> bytes:
        # The engine's own `rewrap` takes no associated data, so the key passes through this process.
        return await self.wrap(await self.unwrap(wrapped))

    async def describe(self) -> str:
        """Wraps zeros, because a token needs no other rights than those to encrypt and to decrypt."""
        wrapped = await self.wrap(bytes(KEY_BYTES))
        version = wrapped.removeprefix(CIPHERTEXT).partition(b":")[0].decode(errors="replace")
        return f"{self.reference} answers with version {version[:20]} of the key"

    async def close(self) -> None:
        await self._asker.close()

    async def _transit(self, operation: str, body: dict[str, str], kind: type[T]) -> T:
        settings = self._settings
        path = f"{settings.mount}/{operation}/{settings.name}"
        reply = await self._post(path, body | self._bound, await self._token())
        if reply.status != HTTPStatus.OK:
            raise self._failure(reply)
        return self._read(reply, kind)

    async def _token(self) -> str:
        credential = self._settings.credential
        if not isinstance(credential, AppRole):
            return await self._secret(credential)
        body = {"role_id": credential.role_id, "secret_id": await self._secret(credential.secret_id)}
        reply = await self._post(f"auth/{credential.mount}/login", body, None)
        if reply.status in LOGIN_REFUSED:
            raise VaultError(
                f"{self.reference}: the role is not let in: look at VAULT_ROLE_ID, {credential.secret_id.variable}"
                " and VAULT_APPROLE_MOUNT",
                code=DENIED,
            )
        if reply.status != HTTPStatus.OK:
            raise self._failure(reply)
        token = self._read(reply, _Login).auth.client_token
        if not token or not token.isprintable():
            raise self._lied("no token")
        return token

    async def _secret(self, given: GivenSecret) -> str:
        try:
            return await asyncio.to_thread(given.read)
        except ValueError as error:
            raise VaultError(f"{self.reference}: {error}", code=DENIED) from None

    async def _post(self, path: str, body: dict[str, str], token: str | None) -> Reply:
        headers = {"Content-Type": "application/json", "X-Vault-Request": "true"}
        if token is not None:
            headers["X-Vault-Token"] = token
        if self._settings.namespace is not None:
            headers["X-Vault-Namespace"] = self._settings.namespace
        try:
            return await self._asker.ask(
                f"{self._settings.url}/v1/{path}", data=msgspec.json.encode(body), headers=headers
            )
        except NoReply as error:
            raise KeyBackendAway(f"{self.reference} does not answer ({error})") from None

    def _read(self, reply: Reply, kind: type[T]) -> T:
        """What is no answer of Vault's comes from something before it, as a proxy, so it may pass."""
        try:
            return decode_json(reply.content, kind)
        except msgspec.DecodeError:
            raise KeyBackendAway(f"{self.reference}: what answers does not answer as Vault does") from None

    def _failure(self, reply: Reply) -> StrongroomError:
        status = reply.status
        if status == HTTPStatus.FORBIDDEN:
            return VaultError(
                f"{self.reference}: permission denied: look at {self._credential_variable}, and at the policy of the token",
                code=DENIED,
            )
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            return KeyBackendAway(f"{self.reference}: Vault is sealed or in maintenance")
        if status not in FINAL:
            return KeyBackendAway(f"{self.reference} answers with status {status}")
        text = reply.content.decode(errors="replace")
        for words, (code, meaning) in WORDS.items():
            if words in text:
                return VaultError(f"{self.reference} {meaning}", code=code)
        return VaultError(f"{self.reference} refuses with status {status}", code=REFUSED)

    @property
    def _credential_variable(self) -> str:
        credential = self._settings.credential
        return "VAULT_ROLE_ID" if isinstance(credential, AppRole) else credential.variable

    def _lied(self, what: str) -> VaultError:
        return VaultError(f"{self.reference} answered with {what}", code=WRONG_ANSWER)
