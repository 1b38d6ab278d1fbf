"""Slows down who presents credentials that do not count again and again, and records it once for each burst.

What is counted is the address that the failures come from. From there each further attempt waits before its credentials are looked
at, so that the time tells nothing; with many waiting, further ones are told to come later. Nobody else waits: a token cannot be made
useless by guesses at its id from elsewhere. Credentials that counted from this address lately do not wait either, so that one client
of many behind an address cannot keep the others out. Guesses at one token's id from many addresses get their refusals later.

The counts are of this process, and bounded: with more addresses than `MAX_KEPT`, the oldest is forgotten.
"""

import hashlib
import math
import re
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import structlog
from sqlalchemy import Connection

from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import CredentialEnded, CredentialUnclear, RateLimited, Unauthenticated
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.access import system_principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.credentials import Credentials
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)

T = TypeVar("T")
Found_co = TypeVar("Found_co", covariant=True)

FREE = 10
LEAK_S = 6.0
"""One failure is forgotten after so long."""
FIRST_S = 0.25
MAX_S = 4.0
MAX_ABOVE = 30
"""An address is slowed down for at most so many failures beyond the free ones."""
MAX_WAITING = 16
"""So many attempts of one address, or at one token, wait at once."""
MAX_KEPT = 10_000
KNOWN_S = 3_600.0
BURST_S = 600.0
"""An address whose failures were recorded is recorded again only after so long."""
HOUR_S = 3_600.0
MAX_RECORDED = 100
"""So many bursts an hour are recorded: failures from many addresses must not fill the audit trail."""
MAX_TOKENS = 8
MARK_BYTES = 16
TOKEN_ID = re.compile(r"sr_([0-9a-f]{16})_")
AUDITOR = system_principal("gatekeeper")


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Failures that came together."""

    at: str
    """The ledger at whose surfaces, or `console` for the admin API."""
    source: str
    failures: int
    tokens: tuple[str, ...]
    """Ids of tokens that were tried."""


Recorder = Callable[[Burst], None]


class AuditedBursts:
    """Writes bursts into a ledger's audit trail, beside the request that completed one."""

    def __init__(self, database: Database, audit: Audit, background: Background) -> None:
        self._database = database
        self._audit = audit
        self._background = background

    def __call__(self, burst: Burst) -> None:
        self._background.start(self._write(burst))

    async def _write(self, burst: Burst) -> None:
        details = {"at": burst.at, "failures": burst.failures, "tokens": list(burst.tokens)}

        def work(connection: Connection) -> None:
            self._audit.append(connection, AUDITOR, "authentication.failures", burst.source, details)

        await self._database.write(work)


class Identifier(Protocol[Found_co]):
    """What finds the principal behind credentials."""

    async def identify(self, credentials: Credentials) -> Found_co: ...


@dataclass(slots=True)
class _Failures:
    level: float = 0.0
    at_s: float = 0.0
    tokens: dict[str, None] = field(default_factory=dict)
    recorded_s: float | None = None


class Attempts:
    """The attempts at the surfaces of one ledger, or at the admin API."""

    def __init__(
        self,
        ledger: str,
        clock: Clock,
        entropy: Entropy,
        metrics: Metrics,
        record: Recorder | None = None,
        *,
        free: int = FREE,
    ) -> None:
        """`free`: so many failures in a row slow nobody down."""
        self._ledger = ledger
        self._clock = clock
        self._key = entropy.token(MARK_BYTES)
        self._failed = metrics.authentication_failures
        self._bursts = metrics.authentication_bursts
        self._record = record
        self._free = free
        self._kept: OrderedDict[tuple[str, str], _Failures] = OrderedDict()
        self._known: OrderedDict[bytes, float] = OrderedDict()
        self._waiting: Counter[tuple[str, str]] = Counter()
        self._recorded: list[float] = []

    def around(self, identifier: Identifier[T]) -> "Slowed[T]":
        return Slowed(self, identifier)

    async def identify(self, credentials: Credentials, find: Callable[[], Awaitable[T]]) -> T:
        """What `find` finds. Its Unauthenticated is a failure, unless it is CredentialEnded.

        So is CredentialUnclear, unless the credentials counted lately: else they could be guessed while a database is away.

        Raises:
            RateLimited: too many attempts from there, or at this token, wait already.
        """
        if credentials.authorization is None and credentials.certificate is None:
            return await find()  # asks for nothing that could be guessed
        mark, source = self._mark(credentials), ("source", credentials.source)
        is_known = self._is_known(mark)
        has_waited = not is_known and await self._wait(source)
        try:
            found = await find()
        except CredentialEnded:
            raise
        except CredentialUnclear:
            if not is_known:
                await self._fail(credentials, has_waited=has_waited)
            raise
        except Unauthenticated:
            self._known.pop(mark, None)
            await self._fail(credentials, has_waited=has_waited)
            raise
        self._remember(mark)
        return found

    async def _fail(self, credentials: Credentials, *, has_waited: bool) -> None:
        """Counts a failure. One that did not wait for its address waits for the token that it tried."""
        token = _token_id(credentials.authorization)
        self._note(("source", credentials.source), token)
        if token and not has_waited:
            self._add(("token", token))
            await self._wait(("token", token))

    async def _wait(self, key: tuple[str, str]) -> bool:
        """Waits as long as the failures so far cost; whether it did."""
        seconds = self._delay_s(key)
        if not seconds:
            return False
        if self._waiting[key] >= MAX_WAITING:
            raise RateLimited(
                "Too many attempts with credentials that do not count. Try again later",
                retry_after_s=math.ceil(MAX_S),
            )
        self._waiting[key] += 1
        try:
            await self._clock.sleep(seconds)
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key]
        return True

    def _delay_s(self, key: tuple[str, str]) -> float:
        found = self._kept.get(key)
        if found is None:
            return 0.0
        above = self._level(found) - self._free
        return min(MAX_S, FIRST_S * 2 ** (above - 1)) if above > 0 else 0.0

    def _level(self, found: _Failures) -> float:
        return max(0.0, found.level - (self._clock.monotonic_s() - found.at_s) / LEAK_S)

    def _add(self, key: tuple[str, str]) -> _Failures:
        found = self._kept.pop(key, None) or _Failures()
        found.level = min(self._free + MAX_ABOVE, self._level(found) + 1)
        found.at_s = self._clock.monotonic_s()
        self._kept[key] = found
        if len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return found

    def _note(self, source: tuple[str, str], token: str) -> None:
        self._failed.labels(self._ledger).inc()
        found = self._add(source)
        if found.level <= 1:
            found.tokens.clear()
        if token and len(found.tokens) < MAX_TOKENS:
            found.tokens[token] = None
        now_s = self._clock.monotonic_s()
        is_old = found.recorded_s is None or now_s - found.recorded_s >= BURST_S
        if found.level > self._free and is_old:
            found.recorded_s = now_s
            self._tell(
                Burst(
                    at=self._ledger,
                    source=source[1],
                    failures=self._free + 1,
                    tokens=tuple(found.tokens),
                )
            )

    def _tell(self, burst: Burst) -> None:
        self._bursts.labels(self._ledger).inc()
        now_s = self._clock.monotonic_s()
        self._recorded = [at_s for at_s in self._recorded if now_s - at_s < HOUR_S]
        if len(self._recorded) >= MAX_RECORDED:
            return
        self._recorded.append(now_s)
        log.warning(
            "repeated failures of authentication",
            ledger=burst.at,
            source=burst.source,
            tokens=list(burst.tokens),
        )
        if self._record is not None:
            self._record(burst)

    def _mark(self, credentials: Credentials) -> bytes:
        """Of these credentials from this address. It is kept in place of the credentials themselves."""
        parts = (
            credentials.source.encode(),
            (credentials.authorization or "").encode(errors="surrogatepass"),
            credentials.certificate or b"",
        )
        digest = hashlib.blake2b(key=self._key, digest_size=MARK_BYTES)
        for part in parts:
            digest.update(len(part).to_bytes(8) + part)
        return digest.digest()

    def _is_known(self, mark: bytes) -> bool:
        at_s = self._known.get(mark)
        return at_s is not None and self._clock.monotonic_s() - at_s < KNOWN_S

    def _remember(self, mark: bytes) -> None:
        self._known.pop(mark, None)
        self._known[mark] = self._clock.monotonic_s()
        if len(self._known) > MAX_KEPT:
            self._known.popitem(last=False)


class Slowed(Generic[T]):
    """An identifier behind the attempts of its ledger."""

    def __init__(self, attempts: Attempts, identifier: Identifier[T]) -> None:
        self._attempts = attempts
        self._identifier = identifier

    async def identify(self, credentials: Credentials) -> T:
        """As the identifier's, and RateLimited."""
        return await self._attempts.identify(credentials, lambda: self._identifier.identify(credentials))


def _token_id(authorization: str | None) -> str:
    found = TOKEN_ID.search(authorization or "")
    return found[1] if found else ""
