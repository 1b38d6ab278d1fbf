"""Opens the key-encryption keys that backends have wrapped, and has new ones wrapped."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import KeyBackendAway, VaultError
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.security.keys.backends.backend import KeyBackend, rewrap_surely, wrap_surely
from strongroom.core.security.keys.source import FoundKey, KeySource
from strongroom.core.security.keys.versions import KeyState, KeyVersion
from strongroom.core.security.vault import KEY_BYTES, KeyEncryptionKey

LIMIT_S: Final = 12.0
"""For all questions of one opening: less than it takes until others count a silent process as gone."""
FIRST_PAUSE_S: Final = 0.5
MAX_PAUSE_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedKey:
    """A new key, and how the database keeps it."""

    key: KeyEncryptionKey
    backend: str
    wrapped: bytes = field(repr=False)


class KeyBackends:
    """The backends that are configured for one ledger. The last one wraps new keys.

    While one of them is away it is asked again after growing pauses, however often callers want a key.
    """

    def __init__(
        self, backends: Sequence[KeyBackend], *, variable: str, clock: Clock, entropy: Entropy
    ) -> None:
        """`variable` is where an operator configures them."""
        self._backends = {one.reference: one for one in backends}
        self._variable = variable
        self._clock = clock
        self._entropy = entropy
        self._backoff = Backoff(clock, entropy, first_s=FIRST_PAUSE_S, cap_s=MAX_PAUSE_S)
        self._away: KeyBackendAway | None = None
        self._checks: set[bytes] = set()
        self._again_s = 0.0

    @property
    def newest(self) -> KeyBackend | None:
        """The backend that wraps new keys; None: the operator gives keys in variables or files."""
        return list(self._backends.values())[-1] if self._backends else None

    def has_opened(self, check: bytes) -> bool:
        """Whether the key of this check was opened or made here, so that it is in no file."""
        return check in self._checks

    async def open(self, versions: Sequence[KeyVersion], *, misses_active: bool = False) -> list[FoundKey]:
        """The keys of these versions, as far as a backend wrapped them and is configured.

        With `misses_active` that holds for the active one too, because its backend may be lost.

        Raises:
            KeyBackendAway: a backend does not answer. Until its pause is over it is not asked again.
            VaultError: a backend refuses, or answers with another key; or it is not configured, and the active key needs it.
        """
        wrapped = [one for one in versions if one.wrapped is not None and one.state is not KeyState.RETIRED]
        if self._away is not None and wrapped and self._clock.monotonic_s() < self._again_s:
            raise self._away
        try:
            async with asyncio.timeout(LIMIT_S):
                found = [
                    key
                    for one in wrapped
                    if (key := await self._open(one, misses_active=misses_active)) is not None
                ]
        except TimeoutError:
            raise self._is_away(KeyBackendAway(f"no answer within {LIMIT_S:.0f} s")) from None
        except KeyBackendAway as error:
            raise self._is_away(error) from None
        self._backoff.reset()
        self._away = None
        return found

    async def make(self) -> WrappedKey:
        """A new random key, wrapped by the newest backend.

        Raises:
            KeyBackendAway: it does not answer.
            VaultError: it refuses.
        """
        backend = self.newest
        if backend is None:
            raise ValueError("no backend is configured")
        key = self._entropy.token(KEY_BYTES)
        try:
            async with asyncio.timeout(LIMIT_S):
                wrapped = await wrap_surely(backend, key)
        except TimeoutError:
            raise KeyBackendAway(f"{backend.reference} does not answer within {LIMIT_S:.0f} s") from None
        made = WrappedKey(key=KeyEncryptionKey(key), backend=backend.reference, wrapped=wrapped)
        self._checks.add(made.key.check())
        return made

    async def rewrap(self, one: KeyVersion) -> bytes | None:
        """A version's key sealed anew under the newest version of its backend's key; None: that backend is not configured.

        Raises as `make`.
        """
        backend = self._backends.get(one.backend or "")
        if backend is None or one.wrapped is None:
            return None
        try:
            async with asyncio.timeout(LIMIT_S):
                found = await self._open(one, misses_active=False)
                return (
                    None if found is None else await rewrap_surely(backend, one.wrapped, found.key.reveal())
                )
        except TimeoutError:
            raise KeyBackendAway(f"{backend.reference} does not answer within {LIMIT_S:.0f} s") from None

    async def describe(self) -> list[str]:
        """What each backend says of itself. Raises as `make`."""
        return [await one.describe() for one in self._backends.values()]

    async def close(self) -> None:
        for one in self._backends.values():
            await one.close()

    def _is_away(self, error: KeyBackendAway) -> KeyBackendAway:
        self._away = error
        self._again_s = self._clock.monotonic_s() + self._backoff.next_delay_s()
        return error

    async def _open(self, one: KeyVersion, *, misses_active: bool) -> FoundKey | None:
        backend = self._backends.get(one.backend or "")
        if backend is None:
            if misses_active or one.state is not KeyState.ACTIVE:
                return None
            raise VaultError(
                f"Version {one.version} of the key-encryption key is wrapped by {one.backend}: set {self._variable}"
                " to that again, and how to reach it",
                code="key_missing",
            )
        key = KeyEncryptionKey(await backend.unwrap(one.wrapped or b""))
        if key.check() != one.check:
            raise VaultError(
                f"{one.backend} opened version {one.version} of the key-encryption key to another key than it was: what"
                " answers is not that backend, or another program changed the database",
                code="wrong_key",
            )
        self._checks.add(one.check)
        return FoundKey(key=key, origin=backend.reference)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySupply:
    """Everything that gives a ledger keys: variables, files and backends."""

    source: KeySource
    backends: KeyBackends | None = None

    async def found(self, versions: Sequence[KeyVersion], *, misses_active: bool = False) -> list[FoundKey]:
        """All keys that are here, the configured one first, then those that the database keeps wrapped.

        Raises as `KeySource.found` and `KeyBackends.open`.
        """
        found = await asyncio.to_thread(self.source.found)
        if self.backends is None:
            return found
        return [*found, *await self.backends.open(versions, misses_active=misses_active)]
