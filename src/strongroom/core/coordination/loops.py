"""Loops of background work, which report their successes and failures to health and do not affect each other.

A loop that fails with any exception starts again after a pause that grows, with jitter and an upper limit. Only a cancellation
ends a loop.

    loops.start(loops.every("toyDatabase", 5.0, check))
    loops.start(loops.run("toyStates", follow))
    loops.under(leases, "toy.workers", [loops.every("toyBlocks", 2.0, sweep), ...])
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from strongroom.core.clock import Clock, Entropy, sleep_unless
from strongroom.core.coordination.lease import Lease, Leases
from strongroom.core.errors import LeaseLost, Unavailable
from strongroom.core.runtime.background import Background, cancel_all
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.readings import Collection, Sample
from strongroom.core.runtime.telemetry import ComponentHealth, Health, Metrics, Status
from strongroom.core.runtime.work_health import DOWN_AFTER, WorkHealth

FIRST_PAUSE_S = 0.5
MAX_PAUSE_S = 30.0
MAX_PASS_S = 300.0


class Incomplete(Unavailable):
    """A pass did a part of its work and must try the rest again.

    Health stays DEGRADED however often this happens, and the next pass comes after the usual pause, so that one bad item does
    not delay the others.
    """

    code = "incomplete"


@dataclass(frozen=True, slots=True)
class Again:
    """A pass returns this to start the next one after another pause than usual."""

    after_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopContext:
    """What endless work gets from its loop: its health to report to, and the lease that it runs under."""

    health: WorkHealth
    lease: Lease | None

    @property
    def term(self) -> Lease:
        """The lease; raises LeaseLost if the work runs without one."""
        if self.lease is None:
            raise LeaseLost(f"{self.health.name} needs a lease")
        return self.lease


Pass = Callable[[], Awaitable[object]]
Endless = Callable[[LoopContext], Awaitable[object]]


class Loop:
    """One loop and its health. `Loops` makes and starts it."""

    def __init__(
        self,
        work: Callable[[LoopContext, Backoff], Awaitable[None]],
        health: WorkHealth,
        backoff: Backoff,
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        self.health = health
        self.rest = rest
        """Called when the loop ends with its lease, because its knowledge of the work is outdated then."""
        self._work = work
        self._backoff = backoff

    async def run(self, lease: Lease | None = None) -> None:
        """Runs the work again and again until cancelled."""
        context = LoopContext(health=self.health, lease=lease)
        while True:
            try:
                await self._work(context, self._backoff)
            except asyncio.CancelledError:
                if _is_cancelled():
                    raise
                self.health.failed("it was cancelled from inside")
            except Exception as error:  # noqa: BLE001 - health reports the error, and the work is tried again
                self.health.failed(error)
            else:
                self.health.failed("it ended")
            if _is_cancelled():  # a driver may have turned the cancellation into its own error
                raise asyncio.CancelledError
            await self._backoff.wait()


class Loops:
    """The loops of one ledger."""

    def __init__(
        self,
        *,
        health: Health,
        metrics: Metrics,
        clock: Clock,
        entropy: Entropy,
        background: Background,
        ledger: str = "",
    ) -> None:
        self._ledger = ledger
        self._health = health
        self._metrics = metrics
        self._clock = clock
        self._entropy = entropy
        self._background = background

    def watch(
        self,
        name: str,
        *,
        part: str = "",
        down_after: int = DOWN_AFTER,
        limit_s: float | None = None,
        vital: bool = False,
        initially: Status = Status.UP,
    ) -> WorkHealth:
        """Makes the health of work that is not a loop, under a component's name; `part` tells several parts apart."""
        work_health = WorkHealth(
            f"{name}.{part}" if part else name,
            self._clock,
            self._metrics,
            down_after=down_after,
            limit_s=limit_s,
            initially=initially,
            ledger=self._ledger,
        )
        self._health.watch(name, work_health.check, part=part, vital=vital)
        return work_health

    def check(self, name: str, check: Callable[[], ComponentHealth], *, part: str) -> None:
        """Adds a part of a component whose health is the answer of `check`."""
        self._health.watch(name, check, part=part)

    def collect(
        self,
        component: str,
        name: str,
        read: Callable[[], Awaitable[Iterable[Sample]]],
        *,
        every_s: float,
    ) -> Loop:
        """A loop that collects values of metrics; it is the part `name` of the component."""
        collection = Collection(
            self._ledger,
            name,
            read,
            clock=self._clock,
            failed=self._metrics.collection_failed,
            every_s=every_s,
        )
        return self.every(
            component, every_s, collection.look, part=name, max_pause_s=every_s, rest=collection.rest
        )

    def every(
        self,
        name: str,
        seconds: float,
        work: Pass,
        *,
        part: str = "",
        wake: asyncio.Event | None = None,
        down_after: int = DOWN_AFTER,
        limit_s: float = MAX_PASS_S,
        max_pause_s: float = MAX_PAUSE_S,
        vital: bool = False,
        initially: Status = Status.UP,
        rest: Callable[[], None] = lambda: None,
    ) -> Loop:
        """A loop that runs `work` at once and `seconds` after each success, or when `wake` is set.

        If `work` returns an `Again`, that decides the pause. A pass that takes longer than `limit_s` is reported to health.
        `rest` is as in `Loop`.
        """
        woken = wake or asyncio.Event()

        async def passes(context: LoopContext, backoff: Backoff) -> None:
            while True:
                pause_s = seconds
                context.health.began()
                try:
                    result = await work()
                except Incomplete as error:
                    context.health.failed(error, status=Status.DEGRADED)
                else:
                    context.health.succeeded()
                    pause_s = result.after_s if isinstance(result, Again) else seconds
                backoff.reset()
                await sleep_unless(woken, self._clock, pause_s)

        work_health = self.watch(
            name, part=part, down_after=down_after, limit_s=limit_s, vital=vital, initially=initially
        )
        return Loop(passes, work_health, self._new_backoff(max_pause_s), rest)

    def run(
        self,
        name: str,
        work: Endless,
        *,
        part: str = "",
        health: WorkHealth | None = None,
        rest: Callable[[], None] = lambda: None,
    ) -> Loop:
        """A loop around endless `work`, which reports its successes to `context.health` and ends only with an error.

        `health` is one that `watch` has made before.
        """
        work_health = health or self.watch(name, part=part)

        async def endless(context: LoopContext, backoff: Backoff) -> None:
            successes = context.health.successes
            try:
                await work(context)
            finally:
                if context.health.successes != successes:
                    backoff.reset()

        return Loop(endless, work_health, self._new_backoff(MAX_PAUSE_S), rest)

    def start(self, loop: Loop) -> None:
        """Starts the loop in this process, whether or not other processes run it too."""
        self._background.start(loop.run())

    def under(self, leases: Leases, name: str, loops: Sequence[Loop]) -> None:
        """Runs the loops in the process that holds the lease; in other processes they stand by.

        A loop that fails with LeaseLost is tried again like any other; the renewal of the lease is what ends the term.
        """
        leases.wanted[name] = False
        for loop in loops:
            loop.health.stand_by()

        async def term(lease: Lease) -> None:
            tasks = [asyncio.ensure_future(loop.run(lease)) for loop in loops]
            try:
                ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    task.result()
            finally:
                # Once each: `gather` cancels too, and what was cancelled twice would leave its tidying up unfinished.
                await cancel_all(tasks)
                for loop in loops:
                    loop.health.stand_by()
                    loop.rest()

        async def lead(context: LoopContext) -> None:
            await leases.lead(name, term, context.health)

        leading = self.run(loops[0].health.component, lead, part=f"lease {name}")
        leading.health.stand_by(None)
        self.start(leading)

    def _new_backoff(self, cap_s: float) -> Backoff:
        return Backoff(self._clock, self._entropy, first_s=FIRST_PAUSE_S, cap_s=cap_s)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
