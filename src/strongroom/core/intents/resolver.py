"""Finds out the outcome of intents by asking their network, and never by guessing.

A new intent is offered once. After that the network is asked first (`follow`), and the same bytes are offered again only
where it answers `Unknown`; each further offer is counted in the database before it is made. That goes on until a verdict
ends it. Any number of processes may resolve one intent: the first verdict that is stored stands, but ACCEPTED outweighs
REJECTED, because the ledger has the last word.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, Protocol, TypeVar

import structlog
from sqlalchemy import Connection

from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import NotFound
from strongroom.core.intents.follows import Follows
from strongroom.core.intents.intent import Accepted, Intent, Pending, Rejected, Unknown, Verdict
from strongroom.core.intents.store import (
    count_attempt,
    load_intent,
    load_open,
    record_accepted,
    record_pending,
    record_rejected,
)
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.runtime.telemetry import ComponentHealth, Status
from strongroom.core.runtime.work_health import EXPECTED
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)

R = TypeVar("R")


class Network(Protocol):
    """A ledger's network. Whatever these methods raise counts as `Unknown`, and is shown by the resolver's health."""

    async def offer(self, intent: Intent) -> Verdict:
        """Submits the payload, and waits for an answer as long as that makes sense."""

    async def follow(self, intents: Sequence[Intent]) -> Mapping[bytes, Verdict]:
        """Asks about all of them at once, without submitting. One that is missing in the answer is asked about again.

        The resolver never calls it twice at the same time.
        """


class Effects(Protocol[R]):
    """What a verdict changes beside the intent's own row."""

    def apply(self, connection: Connection, intent: Intent, verdict: Accepted | Rejected | Pending) -> R:
        """Changes the ledger's tables, in the transaction that stores the verdict, and before the intent's row.

        It locks the account's row first, as `Draft.prepare` does. If it raises, or the verdict is no news, all of it is
        undone. An exception leaves the intent OPEN and the network is asked again.
        """

    def applied(self, intent: Intent, verdict: Accepted | Rejected | Pending, effect: R) -> None:
        """After the commit, in the process that stored the verdict. The intent is as stored, `effect` what `apply` returned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution(Generic[R]):
    """The end of an intent. `effect` is what `Effects.apply` returned; None: another process stored the verdict."""

    intent: Intent
    effect: R | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a ledger's intents are followed."""

    noun: str
    """What an operator reads: `blocks`."""
    first_pause_s: float = 0.25
    """After a failure. The pauses grow from there."""
    max_pause_s: float = 15.0
    pending_pause_s: float = 1.0
    """Between two questions about what is Pending."""
    worrying_age_s: float = 60.0
    """Health is DEGRADED when one is open for longer."""
    own_s: float = 0.0
    """For so long the process that stored an intent has it for itself: only then does a sweep take it up."""


@dataclass(slots=True, eq=False)
class _Running(Generic[R]):
    """An intent that this process resolves."""

    intent: Intent
    since_s: float
    task: asyncio.Task[Resolution[R]] | None = None
    trouble: str | None = None
    """Why the last attempt did not end it."""
    offered: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the first answer, or none, is known."""


class _NoNews(Exception):
    """The verdict does not change what is stored."""


class IntentGone(NotFound):
    """Somebody deleted the intent that is being resolved."""

    code = "intent_gone"


class Resolver(Generic[R]):
    """One resolution for each intent in this process, however many wait for it."""

    def __init__(
        self,
        *,
        network: Network,
        effects: Effects[R],
        database: Database,
        clock: Clock,
        entropy: Entropy,
        background: Background,
        pace: Pace,
    ) -> None:
        self._follows = Follows(network, background)
        self._network = network
        self._effects = effects
        self._database = database
        self._clock = clock
        self._entropy = entropy
        self._background = background
        self._pace = pace
        self._running: dict[bytes, _Running[R]] = {}
        self.joined = 0
        """How often somebody joined a resolution that ran already."""

    @property
    def count(self) -> int:
        """How many intents this process resolves."""
        return len(self._running)

    def is_running(self, intent_id: bytes) -> bool:
        return intent_id in self._running

    def resolve(self, intent: Intent) -> asyncio.Task[Resolution[R]]:
        """Starts, or joins, the resolution of an intent. Shield the task when waiting for it with a limit."""
        running = self._running.get(intent.id)
        if running is not None and running.task is not None and not running.task.done():
            self.joined += 1
            return running.task
        running = _Running[R](intent, self._clock.monotonic_s())
        task = running.task = self._background.start(self._resolve(running))
        self._running[intent.id] = running
        task.add_done_callback(partial(self._ended, running))
        return task

    async def first_answer(self, intent: Intent) -> Intent:
        """Resolves it, and returns it as it stands after the first offer or question: perhaps still OPEN."""
        task = self.resolve(intent)
        running = self._running.get(intent.id)
        if running is not None:
            await running.offered.wait()
        return task.result().intent if task.done() else running.intent if running else intent

    async def wait(self, intent_id: bytes) -> Resolution[R] | None:
        """Waits for the end of a stored intent; None: there is no such intent. Limit it with `deadlines`."""
        intent = await self._database.read(lambda connection: load_intent(connection, intent_id))
        if intent is None:
            return None
        if not intent.is_open:
            return Resolution(intent=intent, effect=None)
        return await asyncio.shield(self.resolve(intent))

    async def sweep(self) -> None:
        """Takes up what a crash, a shutdown or another process's death left open.

        Raises:
            Unavailable: the database does not answer.
        """
        latest_ms = self._clock.now_ms() - round(self._pace.own_s * 1000)
        known = set(self._running)
        found = await self._database.read(
            lambda connection: load_open(connection, latest_ms=latest_ms, but=known)
        )
        for intent in found:
            if not self.is_running(intent.id):
                age_ms = self._clock.now_ms() - intent.created_at_ms
                log.info("taking up an intent", kind=intent.kind, id=intent.id.hex(), age_ms=age_ms)
                self.resolve(intent)

    def check(self) -> ComponentHealth:
        """DEGRADED while an intent is open for long, or is tried again."""
        now_s, noun = self._clock.monotonic_s(), self._pace.noun
        oldest_s = now_s - min((one.since_s for one in self._running.values()), default=now_s)
        if oldest_s > self._pace.worrying_age_s:
            detail = f"{self.count} {noun} are open, the oldest for {oldest_s:.0f} s"
            return ComponentHealth(status=Status.DEGRADED, detail=detail + self._trouble(": "))
        if trouble := self._trouble(" again: "):
            troubled = sum(one.trouble is not None for one in self._running.values())
            detail = f"{self.count} {noun} are open, {troubled} are tried{trouble}"
            return ComponentHealth(status=Status.DEGRADED, detail=detail)
        return ComponentHealth(status=Status.UP, detail=f"{self.count} {noun} are open")

    def _trouble(self, before: str) -> str:
        troubles = [one.trouble for one in self._running.values() if one.trouble is not None]
        return before + troubles[-1] if troubles else ""

    def _ended(self, running: _Running[R], _task: object) -> None:
        running.offered.set()
        if self._running.get(running.intent.id) is running:
            del self._running[running.intent.id]

    async def _resolve(self, running: _Running[R]) -> Resolution[R]:
        backoff = Backoff(
            self._clock,
            self._entropy,
            first_s=self._pace.first_pause_s,
            cap_s=self._pace.max_pause_s,
        )
        is_first = running.intent.is_new
        while True:
            pause_s: float | None = None
            try:
                verdict = await self._ask(running, is_first=is_first)
                if isinstance(verdict, Resolution):
                    return verdict
                match verdict:
                    case Unknown():
                        self._note(running, verdict.why)
                    case Pending():
                        pause_s = self._pace.pending_pause_s
                        await self._move(running, verdict)
                        backoff.reset()
                    case Accepted() | Rejected():
                        if (end := await self._end(running, verdict)) is not None:
                            return end
            except IntentGone:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it was, the outcome is still to be found out
                self._note(running, fault_text(error), error)
            is_first = False
            running.offered.set()
            await (backoff.wait() if pause_s is None else self._clock.sleep(pause_s))

    async def _ask(self, running: _Running[R], *, is_first: bool) -> Verdict | Resolution[R]:
        if is_first and running.intent.attempts:
            return await self._network.offer(running.intent)
        verdict = await self._follows.verdict(running.intent)
        if not isinstance(verdict, Unknown):
            return verdict
        counted = await self._database.write(lambda connection: count_attempt(connection, running.intent))
        if counted is None:
            return await self._resolved_elsewhere(running) or Pending(stage=running.intent.stage)
        running.intent = counted
        return await self._network.offer(counted)

    async def _move(self, running: _Running[R], verdict: Pending) -> None:
        running.trouble = verdict.trouble
        intent = running.intent
        if verdict.stage == intent.stage and not verdict.is_news:
            return

        def unit(connection: Connection) -> tuple[Intent, R]:
            effect = self._effects.apply(connection, intent, verdict)
            moved = record_pending(connection, intent, verdict)
            if moved is None:
                raise _NoNews
            return moved, effect

        try:
            running.intent, effect = await self._database.write(unit)
        except _NoNews:
            await self._reload(running)
            return
        self._effects.applied(running.intent, verdict, effect)

    async def _end(self, running: _Running[R], verdict: Accepted | Rejected) -> Resolution[R] | None:
        """Stores a final verdict. None: it does not hold, and the intent is still OPEN."""
        intent, now_ms = running.intent, self._clock.now_ms()

        def unit(connection: Connection) -> tuple[Intent, R]:
            effect = self._effects.apply(connection, intent, verdict)
            if isinstance(verdict, Accepted):
                ended = record_accepted(connection, intent, verdict, now_ms)
            else:
                ended = record_rejected(connection, intent, verdict, now_ms)
            if ended is None:
                raise _NoNews
            return ended, effect

        try:
            ended, effect = await self._database.write(unit)
        except _NoNews:
            return await self._resolved_elsewhere(running)
        told = log.info if isinstance(verdict, Accepted) else log.warning
        told(
            "intent resolved",
            kind=intent.kind,
            id=intent.id.hex(),
            outcome=ended.outcome.value,
            stage=verdict.stage,
            reason=ended.reason,
        )
        self._effects.applied(ended, verdict, effect)
        return Resolution(intent=ended, effect=effect)

    async def _resolved_elsewhere(self, running: _Running[R]) -> Resolution[R] | None:
        await self._reload(running)
        if running.intent.is_open:
            self._note(running, "another process offers it too")
            return None
        return Resolution(intent=running.intent, effect=None)

    async def _reload(self, running: _Running[R]) -> None:
        intent_id = running.intent.id
        stored = await self._database.read(lambda connection: load_intent(connection, intent_id))
        if stored is None:
            raise IntentGone(f"Intent {intent_id.hex()} is gone from the database")
        running.intent = stored

    def _note(self, running: _Running[R], why: str, error: Exception | None = None) -> None:
        running.trouble = why
        log.warning(
            "intent not resolved yet",
            kind=running.intent.kind,
            id=running.intent.id.hex(),
            attempts=running.intent.attempts,
            why=why,
            exc_info=None if error is None or isinstance(error, EXPECTED) else error,
        )
