"""Stores what is known of the outcome of intents: why they stand still, how far they are, and how they end."""

import asyncio
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import structlog
from sqlalchemy import Connection

from strongroom.core.clock import Clock
from strongroom.core.errors import NotFound, StrongroomError
from strongroom.core.intents.intent import Accepted, Intent, Outcome, Pending, Rejected
from strongroom.core.intents.network import Effects, Resolution
from strongroom.core.intents.steps import log_accepted, log_rejected
from strongroom.core.intents.store import (
    load_intent,
    note_answer,
    record_accepted,
    record_pending,
    record_rejected,
)
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.runtime.work_health import EXPECTED
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)

R = TypeVar("R")
SOON_S: Final = 5.0
"""Why an intent stands still is stored once it does so for so long, and again when it changes, or after `AGAIN_S`."""
AGAIN_S: Final = 60.0


@dataclass(slots=True, eq=False)
class Running(Generic[R]):
    """An intent that this process resolves."""

    intent: Intent
    since_s: float
    task: asyncio.Task[Resolution[R]] | None = None
    trouble: str | None = None
    """Why the last attempt did not resolve it."""
    stored: "_Stored | None" = None
    """What of it was stored last."""
    asked_once: asyncio.Event = field(default_factory=asyncio.Event)
    """Set after the first offer or question, answered or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """Why an intent stood still, as this process stored it."""

    why: str
    at_s: float


class _NothingChanged(Exception):
    """The verdict does not change what is stored; undoes the transaction."""


class IntentGone(NotFound):
    """The intent that is being resolved was deleted from the database."""

    code = "intent_gone"


class Verdicts(Generic[R]):
    """Stores verdicts, each in one transaction with its effects."""

    def __init__(self, ledger: str, *, effects: Effects[R], database: Database, clock: Clock) -> None:
        """`ledger` is its name, for the log."""
        self._ledger = ledger
        self._effects = effects
        self._database = database
        self._clock = clock

    async def store_trouble(self, running: Running[R]) -> None:
        """Stores why an intent stands still, so that every process can tell; not at each attempt, because most say the same."""
        now_s, why, intent = self._clock.monotonic_s(), running.trouble, running.intent
        stored = running.stored or _Stored(why="", at_s=running.since_s)
        if why is None or now_s - stored.at_s < (AGAIN_S if stored.why == why else SOON_S):
            return
        now_ms = self._clock.now_ms()
        running.stored = _Stored(why=why, at_s=now_s)
        try:
            await self._database.write(lambda connection: note_answer(connection, intent, why, now_ms))
        except StrongroomError as error:  # it is for people alone, and the search goes on
            log.warning("the reason is not stored", id=intent.id.hex(), why=fault_text(error))

    async def store_pending(self, running: Running[R], verdict: Pending) -> None:
        """Stores the new stage of an intent that is on its way."""
        running.trouble = verdict.trouble
        intent = running.intent
        if verdict.stage == intent.stage and not verdict.is_news:
            await self.store_trouble(running)
            return

        def unit(connection: Connection) -> tuple[Intent, R]:
            effect = self._effects.apply(connection, intent, verdict)
            moved = record_pending(connection, intent, verdict)
            if moved is None:
                raise _NothingChanged
            return moved, effect

        try:
            running.intent, effect = await self._database.write(unit)
        except _NothingChanged:
            await self._reload(running)
            return
        self._effects.applied(running.intent, verdict, effect)

    async def store_final(self, running: Running[R], verdict: Accepted | Rejected) -> Resolution[R] | None:
        """Stores a final verdict; None if the verdict does not hold and the intent is still OPEN."""
        intent, now_ms = running.intent, self._clock.now_ms()

        def unit(connection: Connection) -> tuple[Intent, R]:
            # The effects come first, because they lock the account's row before the intent's row, as signing does.
            effect = self._effects.apply(connection, intent, verdict)
            if isinstance(verdict, Accepted):
                ended = record_accepted(connection, intent, verdict, now_ms)
            else:
                ended = record_rejected(connection, intent, verdict, now_ms)
            if ended is None:
                raise _NothingChanged
            return ended, effect

        try:
            ended, effect = await self._database.write(unit)
        except _NothingChanged:
            end = await self.resolved_elsewhere(running)
            if isinstance(verdict, Accepted) and _is_due_anew(intent, running.intent):
                return await self.store_final(running, verdict)
            return end
        if isinstance(verdict, Accepted):
            log_accepted(self._ledger, ended, verdict.execution)
        else:
            log_rejected(self._ledger, ended)
        self._effects.applied(ended, verdict, effect)
        return Resolution(intent=ended, effect=effect)

    async def resolved_elsewhere(self, running: Running[R]) -> Resolution[R] | None:
        """Reads the intent again: another process has resolved it, or has offered it and so voided this verdict."""
        await self._reload(running)
        if running.intent.is_open:
            self.note(running, "another process offers it too")
            return None
        return Resolution(intent=running.intent, effect=None)

    async def _reload(self, running: Running[R]) -> None:
        intent_id = running.intent.id
        stored = await self._database.read(lambda connection: load_intent(connection, intent_id))
        if stored is None:
            raise IntentGone(f"Intent {intent_id.hex()} was deleted from the database")
        running.intent = stored

    def note(self, running: Running[R], why: str, error: Exception | None = None) -> None:
        running.trouble = why
        log.warning(
            "intent not resolved yet",
            kind=running.intent.kind,
            id=running.intent.id.hex(),
            attempts=running.intent.attempts,
            why=why,
            exc_info=None if error is None or isinstance(error, EXPECTED) else error,
        )


def _is_due_anew(known: Intent, stored: Intent) -> bool:
    """Whether the bytes that the ledger has were signed again meanwhile, perhaps for another request, which must hear of it."""
    return stored.created_at_ms != known.created_at_ms and stored.outcome is not Outcome.ACCEPTED
