"""Sends signed transactions and finds out their fate, by asking the node and never by guessing.

The bytes are stored before the first push. When no answer comes the node is asked for the transaction, and the same
bytes are pushed again: harmless, a node takes a transaction once. That ends after two minutes, lest a payment goes out
when nobody waits for it any more; from then on the node is only asked. A transaction counts as failed when the node
refuses it and does not have it, or, long after the last push, does not have it twice.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial

import structlog

from strongroom.core.clock import Clock, Entropy
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.runtime.telemetry import ComponentHealth, Health, Metrics, Status
from strongroom.core.runtime.work_health import EXPECTED
from strongroom.core.storage.database import Database
from strongroom.hathor.gateway.push import NotDelivered, Presence, PushNode
from strongroom.hathor.proposals.store import OPEN, SEND_ERROR, SENDING, SENT, Sending, settle

log = structlog.get_logger(__name__)

COMPONENT = "hathorProposals"
PUSH_WINDOW_S = 120.0
"""How long a transaction is pushed again."""
GRACE_S = 30.0
"""After it, how long the node must not have the transaction."""
WORRYING_AGE_S = 60.0
NEVER_ARRIVED = "The node never got it"

Key = tuple[str, str, int]
"""A proposal, what is sent, since when: one that ended is not joined by what is sent next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`sent`, `send_error`, or `open`: the node was not there and got nothing."""

    status: str
    message: str = ""


class Sender:
    """One sending per proposal in this process, however many wait for it."""

    def __init__(
        self,
        *,
        node: PushNode,
        database: Database,
        clock: Clock,
        entropy: Entropy,
        background: Background,
        health: Health,
        metrics: Metrics,
    ) -> None:
        self._node = node
        self._database = database
        self._clock = clock
        self._entropy = entropy
        self._background = background
        self._running: dict[Key, asyncio.Task[Outcome]] = {}
        self._since_s: dict[Key, float] = {}
        self._joined: Counter[Key] = Counter()
        self._troubles: dict[Key, str] = {}
        """Why the last attempt failed."""
        self._outcomes = metrics.counter(
            "hathor_proposals_settled", "Proposals sent or refused, by outcome.", ("outcome",)
        )
        metrics.gauge("hathor_proposals_sending", "Transactions whose fate is open.").set_function(
            lambda: len(self._running)
        )
        health.watch(COMPONENT, self._health)

    def send(self, sending: Sending) -> asyncio.Task[Outcome]:
        """Starts, or joins, the sending of a stored transaction. Shield the task when waiting for it with a limit."""
        key = _key(sending)
        task = self._running.get(key)
        if task is not None:
            self._joined[key] += 1
        else:
            task = self._background.start(self._send(sending))
            self._running[key] = task
            self._since_s[key] = self._clock.monotonic_s()
            task.add_done_callback(lambda _: self._ended(key))
        return task

    @property
    def joined(self) -> int:
        """Requests that wait for a sending which another one began."""
        return self._joined.total()

    def is_running(self, proposal_id: str) -> bool:
        return any(key[0] == proposal_id for key in self._running)

    async def _send(self, sending: Sending) -> Outcome:
        backoff = Backoff(self._clock, self._entropy, first_s=0.2, cap_s=10.0)
        attempt = _Attempt(sending, self._node, self._clock)
        while True:
            try:
                outcome = await attempt.make()
                if outcome is not None and (settled := await self._settle(sending, outcome)) is not None:
                    return settled
            except Exception as error:
                why = self._troubles[_key(sending)] = fault_text(error)
                log.warning(
                    "transaction not settled yet",
                    transaction=sending.tx_id,
                    why=why,
                    exc_info=None if isinstance(error, EXPECTED) else error,
                )
            await backoff.wait()

    async def _settle(self, sending: Sending, outcome: Outcome) -> Outcome | None:
        """None: it is not settled, another process may have delivered it. Who joined here delivers nothing."""
        now_s = self._clock.now_ms() // 1000
        sending = replace(sending, attempts=sending.attempts + self._joined[_key(sending)])
        status = await self._database.write(
            partial(settle, sending=sending, status=outcome.status, now_s=now_s)
        )
        if status == SENDING:
            return None
        self._outcomes.labels(status).inc()
        log.info("transaction settled", transaction=sending.tx_id, outcome=status, why=outcome.message)
        return outcome if status == outcome.status else Outcome(status=status)

    def _ended(self, key: Key) -> None:
        del self._running[key]
        del self._since_s[key]
        self._troubles.pop(key, None)
        self._joined.pop(key, None)

    def _health(self) -> ComponentHealth:
        now_s = self._clock.monotonic_s()
        old = sum(1 for since_s in self._since_s.values() if now_s - since_s > WORRYING_AGE_S)
        if old:
            return ComponentHealth(
                status=Status.DEGRADED, detail=f"{old} transactions with an unknown fate for over a minute"
            )
        if self._troubles:
            detail = f"{len(self._troubles)} transactions are tried again: {next(reversed(self._troubles.values()))}"
            return ComponentHealth(status=Status.DEGRADED, detail=detail)
        return ComponentHealth(status=Status.UP)


def _key(sending: Sending) -> Key:
    return sending.proposal_id, sending.tx_id, sending.since_ms


class _Attempt:
    """What this process knows of a transaction that it sends. `doubtful`: the node may have it."""

    def __init__(self, sending: Sending, node: PushNode, clock: Clock) -> None:
        self._sending = sending
        self._node = node
        self._clock = clock
        self._absent_since_s: float | None = None
        self.doubtful = sending.attempts > 1

    async def make(self) -> Outcome | None:
        """None: not known yet. Raises: Unavailable."""
        if self.doubtful and (found := await self._look()) is not None:
            return found
        if self._is_late():
            return None
        doubted, self.doubtful = self.doubtful, True
        try:
            refusal = await self._node.push(self._sending.raw)
        except NotDelivered as error:
            if doubted:
                raise
            return Outcome(status=OPEN, message=error.message)
        if refusal is None or await self._node.presence(self._sending.tx_id) is Presence.LIVE:
            return Outcome(status=SENT)
        return Outcome(status=SEND_ERROR, message=refusal)

    async def _look(self) -> Outcome | None:
        presence = await self._node.presence(self._sending.tx_id)
        if presence is Presence.LIVE:
            return Outcome(status=SENT)
        if not self._is_late():
            return None
        now_s = self._clock.monotonic_s()
        if self._absent_since_s is None:
            self._absent_since_s = now_s
        if now_s - self._absent_since_s < GRACE_S:
            return None
        return Outcome(status=SEND_ERROR, message=NEVER_ARRIVED)

    def _is_late(self) -> bool:
        return self._clock.now_ms() - self._sending.since_ms > PUSH_WINDOW_S * 1000
