"""Finds out the outcome of intents by asking their network.

The resolver offers a new intent once. After that it asks the network first (`follow`), and offers the same bytes again only if
the answer is `Unknown`. The database counts each further offer before it is made. This continues until a verdict is final.
Several processes may resolve one intent at the same time. The first final verdict that is stored stands, with one exception:
ACCEPTED replaces REJECTED, because the ledger decides.
"""

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

import structlog

from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import OutcomeUnknown
from strongroom.core.intents.follows import Follows
from strongroom.core.intents.intent import Accepted, Intent, Pending, Rejected, Unknown, Verdict
from strongroom.core.intents.network import Effects, Network, Resolution
from strongroom.core.intents.steps import log_offered
from strongroom.core.intents.store import (
    count_attempt,
    load_intent,
    load_open,
)
from strongroom.core.intents.verdicts import IntentGone, Running, Verdicts
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.runtime.telemetry import ComponentHealth, Status
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstAnswer(Generic[R]):
    """An intent after its first offer or question, perhaps still OPEN."""

    intent: Intent
    effect: R | None
    """As in `Resolution`; None also of one that is OPEN."""
    trouble: str | None
    """Why nothing more is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a ledger's intents are asked about, and when they worry the operator."""

    noun: str
    """The word for intents in messages to the operator, for example `blocks`."""
    ledger: str = ""
    """Its name, for the log."""
    first_pause_s: float = 0.25
    """The pause after the first failure; later pauses are longer."""
    max_pause_s: float = 15.0
    pending_pause_s: float = 1.0
    """The pause between two questions about a Pending intent."""
    worrying_age_s: float = 60.0
    """Health is DEGRADED when an intent is open for longer than this."""
    questions_at_once: int = 1
    """Calls of `Network.follow` that may run at the same time. More than one: a silent node delays fewer of the others."""
    own_s: float = 0.0
    """For this time only the process that stored an intent resolves it; then a sweep may take it up."""


class Resolver(Generic[R]):
    """Resolves intents. In one process, each intent has one task, which any number of callers may wait for."""

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
        self._follows = Follows(network, background, at_once=pace.questions_at_once)
        self._network = network
        self._verdicts = Verdicts(pace.ledger, effects=effects, database=database, clock=clock)
        self._database = database
        self._clock = clock
        self._entropy = entropy
        self._background = background
        self._pace = pace
        self._running: dict[bytes, Running[R]] = {}
        self.joined = 0
        """How often a caller joined a resolution that was already running."""

    @property
    def count(self) -> int:
        """How many intents this process is resolving."""
        return len(self._running)

    def is_running(self, intent_id: bytes) -> bool:
        return intent_id in self._running

    def resolve(self, intent: Intent) -> asyncio.Task[Resolution[R]]:
        """Starts or joins the resolution of an intent.

        A caller that waits with a time limit shields the task (`asyncio.shield`), so that only its own wait ends.
        """
        running = self._running.get(intent.id)
        if running is not None and running.task is not None and not running.task.done():
            self.joined += 1
            return running.task
        running = Running[R](intent, self._clock.monotonic_s())
        task = running.task = self._background.start(self._resolve(running))
        self._running[intent.id] = running
        task.add_done_callback(partial(self._ended, running))
        return task

    async def first_answer(self, intent: Intent) -> FirstAnswer[R]:
        """Starts resolving the intent, and returns as soon as the first offer or question is answered or has failed."""
        task = self.resolve(intent)
        running = self._running.get(intent.id)
        if running is not None:
            await running.asked_once.wait()
        if running is None or task.done():
            end = await asyncio.shield(task)
            return FirstAnswer(intent=end.intent, effect=end.effect, trouble=None)
        return FirstAnswer(intent=running.intent, effect=None, trouble=running.trouble)

    async def wait(self, intent_id: bytes) -> Resolution[R] | None:
        """Waits until a stored intent is resolved; None if there is no such intent. The caller sets the time limit."""
        intent = await self._database.read(lambda connection: load_intent(connection, intent_id))
        if intent is None:
            return None
        if not intent.is_open:
            return Resolution(intent=intent, effect=None)
        return await asyncio.shield(self.resolve(intent))

    async def overrule(self, intent: Intent, verdict: Accepted) -> None:
        """Stores that the ledger has a payload that counted as REJECTED, with all that an acceptance changes.

        Nothing happens if that is stored already, or if the payload was signed again meanwhile: then it is resolved anew.

        Raises:
            Unavailable: the database does not answer.
        """
        await self._verdicts.store_final(Running[R](intent, self._clock.monotonic_s()), verdict)

    async def sweep(self) -> None:
        """Starts resolving the open intents that no task of this process resolves, for example after a crash.

        Raises:
            Unavailable: the database does not answer.
        """
        latest_ms = self._clock.now_ms() - round(self._pace.own_s * 1000)
        known = set(self._running)
        found = await self._database.read(
            lambda connection: load_open(connection, latest_ms=latest_ms, without=known)
        )
        for intent in found:
            if not self.is_running(intent.id):
                age_ms = self._clock.now_ms() - intent.created_at_ms
                log.info("taking up an intent", kind=intent.kind, id=intent.id.hex(), age_ms=age_ms)
                self.resolve(intent)

    def check(self) -> ComponentHealth:
        """Health: DEGRADED while an intent is open for long, or an attempt has failed."""
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

    def _ended(self, running: Running[R], _task: object) -> None:
        running.asked_once.set()
        if self._running.get(running.intent.id) is running:
            del self._running[running.intent.id]

    async def _resolve(self, running: Running[R]) -> Resolution[R]:
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
                    case Unknown():  # not a failure: the bytes may be anywhere
                        self._verdicts.note(running, verdict.why)
                        await self._verdicts.store_trouble(running)
                    case Pending():  # the network has the bytes, so there is no reason to ask more and more slowly
                        pause_s = self._pace.pending_pause_s
                        await self._verdicts.store_pending(running, verdict)
                        backoff.reset()
                    case Accepted() | Rejected():
                        if (end := await self._verdicts.store_final(running, verdict)) is not None:
                            return end
            except IntentGone:
                raise  # nothing is left to resolve, and a caller may wait
            except Exception as error:  # noqa: BLE001 - no error may end the search for the outcome
                self._verdicts.note(running, fault_text(error), error)
                if not isinstance(error, DatabaseUnavailable | OutcomeUnknown):
                    await self._verdicts.store_trouble(running)
            is_first = False
            running.intent = replace(running.intent, is_new=False)
            running.asked_once.set()
            await (backoff.wait() if pause_s is None else self._clock.sleep(pause_s))

    async def _ask(self, running: Running[R], *, is_first: bool) -> Verdict | Resolution[R]:
        if is_first and running.intent.attempts:
            running.intent = _offered(running.intent, self._clock.now_ms())
            log_offered(self._pace.ledger, running.intent)
            return _counting(await self._network.offer(running.intent), is_only=running.intent.attempts == 1)
        # Any other intent may already be with the network, so ask before offering.
        verdict = await self._follows.verdict(running.intent)
        if not isinstance(verdict, Unknown):
            return verdict
        # The count is committed before the bytes leave. A verdict that holds only for a single offer then no longer counts.
        offered = _offered(running.intent, self._clock.now_ms())
        counted = await self._database.write(lambda connection: count_attempt(connection, offered))
        if counted is None:
            return await self._verdicts.resolved_elsewhere(running) or Pending(stage=running.intent.stage)
        running.intent = counted
        log_offered(self._pace.ledger, counted)
        return _counting(await self._network.offer(counted), is_only=False)


def _offered(intent: Intent, now_ms: int) -> Intent:
    """As it is once it is offered now."""
    first_ms = now_ms if intent.first_offered_at_ms is None else intent.first_offered_at_ms
    return replace(intent, first_offered_at_ms=first_ms, last_offered_at_ms=now_ms)


def _counting(verdict: Verdict, *, is_only: bool) -> Verdict:
    """What the answer to an offer proves: the refusal of one offer says nothing about another that may still arrive."""
    if isinstance(verdict, Rejected) and verdict.if_unshared and not is_only:
        return Unknown(why=verdict.reason)
    return verdict
