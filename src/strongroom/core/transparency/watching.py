"""Verifies a trail for callers who cannot wait: it goes on in the background, and says how far it is."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from strongroom.core.clock import Clock
from strongroom.core.errors import Conflict, StrongroomError
from strongroom.core.runtime.background import Background
from strongroom.core.transparency.checkpoint import Checkpoint
from strongroom.core.transparency.file import CheckpointFile, read_checkpoints
from strongroom.core.transparency.inspection import Inspection, Report

PATIENCE_S: Final = 1.0


@dataclass(slots=True, kw_only=True)
class Verification:
    """One look at a trail."""

    started_at_ms: int
    done: int = 0
    total: int = 0
    """Of the rows that checkpoints cover, once their turn has come; the chains are looked at before."""
    report: Report | None = None
    """None: it goes on, or it failed."""
    error: StrongroomError | None = None

    @property
    def is_over(self) -> bool:
        return self.report is not None or self.error is not None


class Verifications:
    """The looks at one ledger's trail in this process, one at a time."""

    def __init__(
        self,
        inspection: Callable[[], Inspection],
        background: Background,
        clock: Clock,
        file: CheckpointFile | None,
    ) -> None:
        """`file`: where checkpoints are kept elsewhere; a look compares with it."""
        self._inspection = inspection
        self._background = background
        self._clock = clock
        self._file = file
        self.last: Verification | None = None
        """The one that began last; None: there was none since the process started."""
        self._task: asyncio.Task[None] | None = None

    async def start(self, kept: Sequence[Checkpoint]) -> Verification:
        """Begins one, or joins the one that goes on; returns after a second, or as soon as it is over.

        Raises:
            Sealed: the trail's secret is not in memory.
            Conflict: one goes on, which does not compare with what is `kept`.
        """
        if self._task is None or self._task.done() or self.last is None:
            inspection = self._inspection()
            self.last = Verification(started_at_ms=self._clock.now_ms())
            self._task = self._background.start(self._run(self.last, inspection, kept))
        elif kept:
            raise Conflict("A verification goes on: ask again when it is over", code="verification_running")
        verification = self.last
        pause = asyncio.ensure_future(self._clock.sleep(PATIENCE_S))
        try:
            await asyncio.wait({self._task, pause}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
        return verification

    async def _run(self, one: Verification, inspection: Inspection, kept: Sequence[Checkpoint]) -> None:
        def advance(done: int, total: int) -> None:
            one.done, one.total = done, total

        try:
            in_file = [] if self._file is None else await asyncio.to_thread(read_checkpoints, self._file.path)
            one.report = await inspection.run([*kept, *in_file], advance)
        except StrongroomError as error:
            one.error = error
