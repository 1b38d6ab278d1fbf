"""Wraps keys with an HSM, through PKCS#11.

The key is an AES key of the token, which the token does not give out; the token itself seals with AES-GCM.

Each question has a process of its own, `pkcs11_process`: the library of the HSM's maker runs in it, not here. A library that
hangs is ended with its process, and one that crashes or leaks does so there. After an HSM was away, a new process connects anew.
"""

import asyncio
import sys
from typing import Final

import msgspec

from strongroom.core.clock import Entropy
from strongroom.core.errors import KeyBackendAway, VaultError
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
from strongroom.core.security.keys.backends.pkcs11_process import Answer, Outcome, Question
from strongroom.core.security.keys.backends.settings import Pkcs11Settings
from strongroom.core.security.vault import KEY_BYTES, NONCE_BYTES

PROCESS: Final = "strongroom.core.security.keys.backends.pkcs11_process"
LIMIT_S: Final = 10.0
FORM: Final = b"\x01"
"""The first byte of a wrapped key: nonce and AES-GCM follow."""
CODES: Final = {Outcome.DENIED: DENIED, Outcome.NO_KEY: NO_KEY, Outcome.REFUSED: REFUSED}


class Pkcs11Backend:
    """See `backend.KeyBackend`."""

    def __init__(
        self, settings: Pkcs11Settings, ledger: str, entropy: Entropy, *, limit_s: float = LIMIT_S
    ) -> None:
        self._settings = settings
        self._bound = purpose(ledger).encode()
        self._entropy = entropy
        self._limit_s = limit_s

    @property
    def reference(self) -> str:
        return self._settings.reference

    async def wrap(self, key: bytes) -> bytes:
        nonce = self._entropy.token(NONCE_BYTES)
        sealed = await self._ask("encrypt", nonce, key)
        return require_wrapped(FORM + nonce + sealed, self)

    async def unwrap(self, wrapped: bytes) -> bytes:
        nonce, sealed = wrapped[1 : 1 + NONCE_BYTES], wrapped[1 + NONCE_BYTES :]
        if wrapped[:1] != FORM or not sealed:
            raise VaultError(f"{self.reference} did not make the wrapped key in the database", code=REFUSED)
        return require_key(await self._ask("decrypt", nonce, sealed), self)

    async def rewrap(self, wrapped: bytes) -> bytes:
        return await self.wrap(await self.unwrap(wrapped))

    async def describe(self) -> str:
        await self.wrap(bytes(KEY_BYTES))
        return f"{self.reference} answers"

    async def close(self) -> None:
        """There is nothing to close: each question ended its process."""

    async def _ask(self, operation: str, nonce: bytes, data: bytes) -> bytes:
        settings = self._settings
        try:
            pin = await asyncio.to_thread(settings.pin.read)
        except ValueError as error:
            raise VaultError(f"{self.reference}: {error}", code=DENIED) from None
        question = Question(
            operation=operation,
            module=str(settings.module),
            token=settings.token,
            label=settings.label,
            pin=pin,
            nonce=nonce,
            bound=self._bound,
            data=data,
        )
        answer = self._read(await self._run(msgspec.json.encode(question)))
        match answer.outcome:
            case Outcome.DONE:
                return answer.data
            case Outcome.AWAY:
                raise KeyBackendAway(f"{self.reference} cannot answer now ({answer.words})")
            case Outcome.DENIED:
                raise VaultError(
                    f"{self.reference}: {answer.words}: look at {settings.pin.variable}", code=DENIED
                )
            case outcome:
                raise VaultError(f"{self.reference}: {answer.words}", code=CODES[outcome])

    def _read(self, output: bytes) -> Answer:
        try:
            return decode_json(output, Answer)
        except msgspec.DecodeError:
            raise VaultError(f"{self.reference}: its library gave no answer", code=WRONG_ANSWER) from None

    async def _run(self, question: bytes) -> bytes:
        """The PIN goes in through a pipe: the list of processes does not show it."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-m",
            PROCESS,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(self._limit_s):
                output, _ = await process.communicate(question)
        except TimeoutError:
            raise KeyBackendAway(f"{self.reference} does not answer within {self._limit_s:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise KeyBackendAway(f"{self.reference}: its library ended with status {process.returncode}")
        return output
