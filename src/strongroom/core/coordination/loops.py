"""Loops that report to health: each tells its own successes and failures, and none ends another.

A loop that fails, with whatever exception, is started again after a pause that grows, with jitter and a limit. Nothing
but its cancellation ends it.

    loops.start(loops.every("toyDatabase", 5.0, check))
    loops.start(loops.run("toyStates", follow))
    loops.under(leases, "toy.workers", [loops.every("toyBlocks", 2.0, sweep), ...])
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from strongroom.core.clock import Clock, Entropy, sleep_unless
from strongroom.core.coordination.lease import Lease, Leases
from strongroom.core.errors import LeaseLost, Unavailable
from strongroom.core.runtime.background import Background
from strongroom.core.runtime.backoff import Backoff
from strongroom.core.runtime.telemetry import ComponentHealth, Health, Metrics, Status
from strongroom.core.runtime.work_health import DOWN_AFTER, WorkHealth

FIRST_PAUSE_S = 0.5
MAX_PAUSE_S = 30.0
MAX_PASS_S = 300.0


class Incomplete(Unavailable):
    """Raised by a pass that did a part of its work and has to try the rest again.

    However often, that is no more than DEGRADED, and the next pass comes at the usual pace: the others wait for it.
    """

    code = "incomplete"


@dataclass(frozen=True, slots=True)
class Again:
    """What a pass returns when the next one shall come sooner or later than usual."""

    after_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What endless work gets: how to say that it goes well or not, and the lease that it runs under."""

    health: WorkHealth
    lease: Lease | None

    @property
    def term(self) -> Lease:
        """Raises: LeaseLost: it runs without a lease."""
        if self.lease is None:
            raise LeaseLost(f"{self.health.name} needs a lease")
        return self.lease


Pass = Callable[[], Awaitable[object]]
Endless = Callable[[Turn], Awaitable[object]]


class Loop:
    """One loop and its health. `Loops` makes and starts it."""

    def __init__(
        self,
        work: Callable[[Turn, Backoff], Awaitable[None]],
        health: WorkHealth,
        backoff: Backoff,
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        self.health = health
        self.rest = rest
        """Called when the loop ends with its lease, because what it knows of its work is then out of date."""
        self._work = work
        self._backoff = backoff

    async def run(self, lease: Lease | None = None) -> None:
        """Until cancelled."""
        turn = Turn(health=self.health, lease=lease)
        while True:
            try:
                await self._work(turn, self._backoff)
            except asyncio.CancelledError:
                if _is_cancelled():
                    raise
                self.health.failed("it was cancelled from inside")
            except Exception as error:  # noqa: BLE001 - whatever it was: health says so, and it is tried again
                self.health.failed(error)
            else:
                self.health.failed("it ended")
            if _is_cancelled():  # a driver may have turned the cancellation into an error of its own
                raise asyncio.CancelledError
            await self._backoff.wait()


class Loops:
    """The loops of one ledger."""

    def __init__(
        self, *, health: Health, metrics: Metrics, clock: Clock, entropy: Entropy, background: Background
    ) -> None:
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
        """The health of work that is no loop, under a component's name. `part` where a component has several."""
        work_health = WorkHealth(
            f"{name}.{part}" if part else name,
            self._clock,
            self._metrics,
            down_after=down_after,
            limit_s=limit_s,
            initially=initially,
        )
        self._health.watch(name, work_health.check, part=part, vital=vital)
        return work_health

    def check(self, name: str, check: Callable[[], ComponentHealth], *, part: str) -> None:
        """A part of a component that says itself how it is."""
        self._health.watch(name, check, part=part)

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
        """`work` now and `seconds` after each success, or when `wake` is set, or as an `Again` that it returns says.

        A pass that has not ended after `limit_s` is reported. `rest` as in `Loop`.
        """
        woken = wake or asyncio.Event()

        async def passes(turn: Turn, backoff: Backoff) -> None:
            while True:
                pause_s = seconds
                turn.health.began()
                try:
                    result = await work()
                except Incomplete as error:
                    turn.health.failed(error, status=Status.DEGRADED)
                else:
                    turn.health.succeeded()
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
        """`work` has its own loop, says by `turn.health` when it goes well, and never ends but by an error.

        `health` where it was made before, by `watch`.
        """
        work_health = health or self.watch(name, part=part)

        async def endless(turn: Turn, backoff: Backoff) -> None:
            successes = turn.health.successes
            try:
                await work(turn)
            finally:
                if turn.health.successes != successes:
                    backoff.reset()

        return Loop(endless, work_health, self._new_backoff(MAX_PAUSE_S), rest)

    def start(self, loop: Loop) -> None:
        """Starts the loop in this process, whatever other processes do."""
        self._background.start(loop.run())

    def under(self, leases: Leases, name: str, loops: Sequence[Loop]) -> None:
        """Starts the loops in the process that holds the lease; in the others they stand by.

        A loop that finds the lease lost fails like any other. The renewal of the lease ends the term.
        """
        for loop in loops:
            loop.health.stand_by()

        async def term(lease: Lease) -> None:
            tasks = [asyncio.ensure_future(loop.run(lease)) for loop in loops]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                for loop in loops:
                    loop.health.stand_by()
                    loop.rest()

        async def lead(turn: Turn) -> None:
            await leases.lead(name, term, turn.health)

        leading = self.run(loops[0].health.component, lead, part=f"lease {name}")
        leading.health.stand_by(None)
        self.start(leading)

    def _new_backoff(self, cap_s: float) -> Backoff:
        return Backoff(self._clock, self._entropy, first_s=FIRST_PAUSE_S, cap_s=cap_s)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
