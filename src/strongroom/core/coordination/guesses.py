"""Slows down who guesses at a secret, counted over all processes, in rows that survive restarts.

Wrong guesses are counted of each caller, and of all callers together. Who has guessed wrong too often is told to come back after a
pause, which doubles with each further wrong guess up to a ceiling. During a pause the secret is not looked at, whether it is right
or wrong, and nothing is counted. One wrong guess is forgotten after a while.

Whoever has shown the right secret before waits for their own wrong guesses alone: guesses of others hold no owner off. A caller
who is new to a secret waits for those of others too, for at most `ALL.longest_ms` at a time; else somebody with many tokens or
addresses could guess with each of them anew.

Whoever checks a secret takes a lock first, which holds on several database nodes. So guesses at once, in however many processes, are
looked at one after the other.
"""

import hashlib
import math
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, select

from strongroom.core.clock import Clock
from strongroom.core.coordination.locks import take_one_of
from strongroom.core.errors import RateLimited
from strongroom.core.storage import tables
from strongroom.core.storage.database import locking, upsert

LOCK: Final = "guesses"
CODE: Final = "too_many_attempts"
ANYBODY: Final = ""
FORGET_MS: Final = 600_000
"""One wrong guess is forgotten after so long."""
REMEMBER_MS: Final = 90 * 86_400_000
"""So long after showing the right secret somebody counts as knowing it."""
RENEW_MS: Final = 86_400_000
MAX_ABOVE: Final = 12
"""No more wrong guesses than this beyond the free ones are remembered."""

_columns = tables.guess.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """What wrong guesses cost."""

    free: int
    """So many cost nothing."""
    longest_ms: int
    first_ms: int = 1_000

    def after(self, wrong: int) -> int:
        """The pause in milliseconds after so many wrong guesses."""
        above = wrong - self.free
        return min(self.longest_ms, self.first_ms * 2 ** (above - 1)) if above > 0 else 0


OWN: Final = Pauses(free=5, longest_ms=300_000)
ALL: Final = Pauses(free=20, longest_ms=60_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Wrong guesses have begun to cost pauses; it is for the audit trail."""

    by: str
    """The caller, or `anybody` for many together."""
    wrong: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Count:
    wrong: int = 0
    at_ms: int = 0
    shown_at_ms: int | None = None

    def left(self, now_ms: int) -> int:
        """The wrong guesses that are not forgotten. A clock that was set back forgets none."""
        return max(0, self.wrong - max(0, now_ms - self.at_ms) // FORGET_MS)

    def pause_left(self, now_ms: int, pauses: Pauses) -> int:
        pause = pauses.after(self.wrong)
        return max(0, min(pause, self.at_ms + pause - now_ms))

    def knows(self, now_ms: int) -> bool:
        return self.shown_at_ms is not None and now_ms - self.shown_at_ms < REMEMBER_MS


class Guesses:
    """The guesses at one kind of secret. Every method runs in the transaction that holds the lock on what the secret opens."""

    def __init__(self, kind: str, clock: Clock) -> None:
        self._kind = kind
        self._clock = clock

    def require_turn(self, connection: Connection, subject: str, caller: str) -> None:
        """Raises: RateLimited: the caller has to wait before the secret of the subject is looked at."""
        take_one_of(connection, LOCK, self._subject(subject))
        now_ms = self._clock.now_ms()
        own = self._load(connection, subject, caller)
        wait_ms = own.pause_left(now_ms, OWN)
        if not own.knows(now_ms):
            wait_ms = max(wait_ms, self._load(connection, subject, ANYBODY).pause_left(now_ms, ALL))
        if wait_ms:
            wait_s = math.ceil(wait_ms / 1000)
            raise RateLimited(
                f"Too many wrong attempts for {subject}. Try again in {wait_s} s",
                retry_after_s=wait_s,
                code=CODE,
            )

    def wrong(self, connection: Connection, subject: str, caller: str) -> list[Burst]:
        """Counts a wrong guess. The transaction must commit before the caller learns that it was wrong."""
        self._forget(connection, subject)
        found = (self._add(connection, subject, caller, OWN), self._add(connection, subject, ANYBODY, ALL))
        return [burst for burst in found if burst is not None]

    def right(self, connection: Connection, subject: str, caller: str) -> None:
        """Remembers that the caller knows the secret, and forgets their wrong guesses."""
        now_ms = self._clock.now_ms()
        own = self._load(connection, subject, caller)
        is_fresh = own.shown_at_ms is not None and abs(now_ms - own.shown_at_ms) < RENEW_MS
        if own.wrong or not is_fresh:
            self._store(connection, subject, caller, _Count(shown_at_ms=now_ms))

    def changed(self, connection: Connection, subject: str) -> None:
        """The subject has another secret: nobody knows it yet, and nobody has guessed at it."""
        connection.execute(delete(tables.guess).where(_columns.subject == self._subject(subject)))

    def _add(self, connection: Connection, subject: str, caller: str, pauses: Pauses) -> Burst | None:
        now_ms = self._clock.now_ms()
        before = self._load(connection, subject, caller)
        left = before.left(now_ms)
        wrong = min(pauses.free + MAX_ABOVE, left + 1)
        self._store(
            connection, subject, caller, _Count(wrong=wrong, at_ms=now_ms, shown_at_ms=before.shown_at_ms)
        )
        begins = wrong == pauses.free + 1 or wrong == pauses.free + MAX_ABOVE > left
        return Burst(by=caller or "anybody", wrong=wrong) if begins else None

    def _load(self, connection: Connection, subject: str, caller: str) -> _Count:
        query = select(tables.guess).where(_columns.id == self._id(subject, caller))
        row = connection.execute(locking(query)).first()
        if row is None:
            return _Count()
        return _Count(wrong=row.wrong, at_ms=row.at_ms, shown_at_ms=row.shown_at_ms)

    def _store(self, connection: Connection, subject: str, caller: str, count: _Count) -> None:
        row = {
            "id": self._id(subject, caller),
            "subject": self._subject(subject),
            "wrong": count.wrong,
            "at_ms": count.at_ms,
            "shown_at_ms": count.shown_at_ms,
        }
        upsert(connection, tables.guess, [row], ["wrong", "at_ms", "shown_at_ms"])

    def _forget(self, connection: Connection, subject: str) -> None:
        """Deletes what says nothing any more, so that guesses from many places leave no rows for good."""
        now_ms = self._clock.now_ms()
        most = max(OWN.free, ALL.free) + MAX_ABOVE
        knows_nothing = _columns.shown_at_ms.is_(None) | (_columns.shown_at_ms < now_ms - REMEMBER_MS)
        is_over = _columns.at_ms < now_ms - most * FORGET_MS
        connection.execute(
            delete(tables.guess).where(_columns.subject == self._subject(subject), is_over, knows_nothing)
        )

    def _subject(self, subject: str) -> bytes:
        return _digest(self._kind, subject)

    def _id(self, subject: str, caller: str) -> bytes:
        return _digest(self._kind, subject, caller)


def _digest(*parts: str) -> bytes:
    encoded = [part.encode(errors="surrogatepass") for part in parts]
    return hashlib.sha256(b"".join(len(part).to_bytes(4) + part for part in encoded)).digest()
