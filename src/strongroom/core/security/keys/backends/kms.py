"""Wraps keys with AWS KMS.

botocore signs the requests, and finds the credentials where all programs for AWS do: variables, files, the role of a pod or a
machine. The requests go through this service's own client, because botocore's has no limit on the size of an answer.
"""

import asyncio
import base64
import re
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, Final, TypeVar

import botocore.session
import msgspec
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError

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
from strongroom.core.security.keys.backends.settings import KmsSettings
from strongroom.core.security.vault import KEY_BYTES

T = TypeVar("T")

SERVICE: Final = "kms"
CREDENTIALS_S: Final = 12.0
THREADS: Final = 2
"""Of its own, so that a source of credentials that never answers takes none of those that other work waits for."""
CONTEXT: Final = "strongroom"
MEANINGS: Final = {
    "AccessDenied": (
        DENIED,
        "does not allow it: look at the key's policy and at the rights of the AWS credentials",
    ),
    "AccessDeniedException": (
        DENIED,
        "does not allow it: look at the key's policy and at the rights of the AWS credentials",
    ),
    "UnrecognizedClientException": (DENIED, "does not know the AWS credentials: look at AWS_ACCESS_KEY_ID"),
    "InvalidClientTokenId": (DENIED, "does not know the AWS credentials: look at AWS_ACCESS_KEY_ID"),
    "InvalidSignatureException": (
        DENIED,
        "refuses the signature: look at AWS_SECRET_ACCESS_KEY and at the clock",
    ),
    "SignatureDoesNotMatch": (
        DENIED,
        "refuses the signature: look at AWS_SECRET_ACCESS_KEY and at the clock",
    ),
    "MissingAuthenticationToken": (DENIED, "got no AWS credentials"),
    "ExpiredTokenException": (
        DENIED,
        "says that the AWS credentials have expired: look at AWS_SESSION_TOKEN",
    ),
    "ExpiredToken": (DENIED, "says that the AWS credentials have expired: look at AWS_SESSION_TOKEN"),
    "NotFoundException": (NO_KEY, "does not exist in this account and region"),
    "DisabledException": (NO_KEY, "is disabled: enable it"),
    "KMSInvalidStateException": (
        NO_KEY,
        "is in a state that allows nothing, as one that waits for its deletion",
    ),
    "InvalidKeyUsageException": (NO_KEY, "is of another kind: make a symmetric key for ENCRYPT_DECRYPT"),
    "IncorrectKeyException": (REFUSED, "did not wrap this key"),
    "InvalidCiphertextException": (REFUSED, "did not wrap this key, or did so for another ledger"),
}
"""What KMS's error codes mean; with these a person must act."""
PASSING: Final = frozenset(
    {
        "DependencyTimeoutException",
        "KeyUnavailableException",
        "KMSInternalException",
        "InternalFailure",
        "InternalServerError",
        "LimitExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "Throttling",
        "ThrottlingException",
    }
)
_CODE = re.compile(r"[A-Za-z0-9.]{1,64}")
FINAL: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
"""With these a person must act. Every other status may pass."""


class _Encrypted(msgspec.Struct):
    ciphertext: str = msgspec.field(name="CiphertextBlob")


class _Decrypted(msgspec.Struct):
    plaintext: str = msgspec.field(name="Plaintext")


class _Failed(msgspec.Struct):
    code: str = msgspec.field(name="__type", default="")


class KmsBackend:
    """See `backend.KeyBackend`."""

    def __init__(self, settings: KmsSettings, ledger: str, asker: Asker) -> None:
        self._settings = settings
        self._context = {CONTEXT: purpose(ledger)}
        self._asker = asker
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="kms")
        self._session = botocore.session.Session()
        self._credentials: Any = None
        self._url: str | None = None

    @property
    def reference(self) -> str:
        return self._settings.reference

    async def wrap(self, key: bytes) -> bytes:
        answer = await self._call("Encrypt", {"Plaintext": _encoded(key)}, _Encrypted)
        return require_wrapped(self._decoded(answer.ciphertext), self)

    async def unwrap(self, wrapped: bytes) -> bytes:
        answer = await self._call("Decrypt", {"CiphertextBlob": _encoded(wrapped)}, _Decrypted)
        return require_key(self._decoded(answer.plaintext), self)

    async def rewrap(self, wrapped: bytes) -> bytes:
        # `ReEncrypt` would ask for rights of its own, and KMS rotates its key without new ciphertexts.
        return await self.wrap(await self.unwrap(wrapped))

    async def describe(self) -> str:
        """Wraps zeros, because the credentials need no other rights than those to encrypt and to decrypt."""
        await self.wrap(bytes(KEY_BYTES))
        return f"{self.reference} answers in {self._settings.region}"

    async def close(self) -> None:
        """Does not wait for credentials that may never come."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._asker.close()

    async def _call(self, operation: str, parameters: dict[str, str], kind: type[T]) -> T:
        body = {"KeyId": self._settings.key_id, "EncryptionContext": self._context, **parameters}
        request = await self._signed(operation, msgspec.json.encode(body))
        try:
            reply = await self._asker.ask(request.url, data=request.data, headers=dict(request.headers))
        except NoReply as error:
            raise KeyBackendAway(f"{self.reference} does not answer ({error})") from None
        if reply.status != HTTPStatus.OK:
            raise self._failure(reply)
        try:
            return decode_json(reply.content, kind)
        except msgspec.DecodeError:
            raise KeyBackendAway(f"{self.reference}: what answers does not answer as KMS does") from None

    async def _signed(self, operation: str, body: bytes) -> Any:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CREDENTIALS_S):
                url, credentials = await loop.run_in_executor(self._threads, self._prepare)
        except TimeoutError:
            raise KeyBackendAway(
                f"{self.reference}: what gives out AWS credentials does not answer within {CREDENTIALS_S:.0f} s"
            ) from None
        except BotoCoreError as error:
            raise self._without_credentials(type(error).__name__) from None
        if credentials is None or not (credentials.access_key and credentials.secret_key):
            raise self._without_credentials("none found")
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"TrentService.{operation}"}
        request = AWSRequest(method="POST", url=url, data=body, headers=headers)
        SigV4Auth(credentials, SERVICE, self._settings.region).add_auth(request)
        return request

    def _prepare(self) -> tuple[str, ReadOnlyCredentials | None]:
        """In a thread: credentials may come from files, other programs and other services, and they are renewed in time."""
        if self._credentials is None:
            self._credentials = self._session.get_credentials()
        credentials = None if self._credentials is None else self._credentials.get_frozen_credentials()
        return self._endpoint(), credentials

    def _endpoint(self) -> str:
        """Only botocore knows all of AWS's host names; the client that it makes for that asks nothing."""
        if self._url is None:
            own = self._settings.endpoint
            if own is None:
                client = self._session.create_client(SERVICE, region_name=self._settings.region)
                own = client.meta.endpoint_url
                client.close()
            self._url = f"{own.rstrip('/')}/"
        return self._url

    def _without_credentials(self, why: str) -> VaultError:
        return VaultError(
            f"{self.reference}: there are no complete AWS credentials ({why}): set AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY, or give the machine or the pod a role",
            code=DENIED,
        )

    def _failure(self, reply: Reply) -> StrongroomError:
        """What the server wrote is not repeated, but for the code."""
        try:
            code = decode_json(reply.content, _Failed).code.rpartition("#")[2]
        except msgspec.DecodeError:
            code = ""
        if code in MEANINGS:
            kind, meaning = MEANINGS[code]
            return VaultError(f"{self.reference} {meaning} ({code})", code=kind)
        shown = code if _CODE.fullmatch(code) else f"status {reply.status}"
        if code in PASSING or reply.status not in FINAL:
            return KeyBackendAway(f"{self.reference} cannot answer now ({shown})")
        return VaultError(f"{self.reference} refuses ({shown})", code=REFUSED)

    def _decoded(self, text: str) -> bytes:
        try:
            return base64.b64decode(text, validate=True)
        except ValueError:
            raise VaultError(f"{self.reference} answered with no base64", code=WRONG_ANSWER) from None


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
