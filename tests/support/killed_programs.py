"""A command of the program that is killed at random, then run again."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support.dying_steps import COUNTER, DIES_AT
from support.processes import strongroom

KILLED = -9
LONGEST_S = 240.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A run of the command: its exit status (-9: killed) and what it printed."""

    status: int
    logs: str
    steps: int
    took_s: float


class Command:
    """One command with its variables. A kill comes at a step of its own (dying_steps.py) or at a moment of the clock."""

    def __init__(self, source: random.Random, folder: Path, variables: Mapping[str, str]) -> None:
        self._source = source
        self._folder = folder
        self._variables = dict(variables)
        self._steps, self._took_s = 0, 0.0

    def run(self, *arguments: str, **more: str) -> Ended:
        """To its end, which must be a good one."""
        ended = self.try_it(*arguments, **more)
        assert ended.status == 0, ended.logs
        return ended

    def try_it(self, *arguments: str, **more: str) -> Ended:
        """To its end, whichever it is."""
        return self._run(arguments, more, dies_at=0, after_s=None)

    def measure(self, *arguments: str, **more: str) -> Ended:
        """To its end, undisturbed: kills come as late as it took, at most."""
        ended = self.run(*arguments, **more)
        self._steps, self._took_s = ended.steps, ended.took_s
        return ended

    def kill(self, *arguments: str, **more: str) -> Ended:
        """Kills it at random. It may have ended before."""
        dies_at, after_s = 0, None
        if self._source.random() < 0.75:
            dies_at = self._source.randint(1, self._steps)
        else:
            after_s = self._source.uniform(0, self._took_s)
        ended = self._run(arguments, more, dies_at=dies_at, after_s=after_s)
        print(f"{' '.join(arguments)}: step {dies_at}, {after_s} s: {ended.status} at {ended.steps}")  # noqa: T201 - to repeat it
        return ended

    def _run(
        self, arguments: tuple[str, ...], more: Mapping[str, str], *, dies_at: int, after_s: float | None
    ) -> Ended:
        counter = self._folder / "steps"
        counter.unlink(missing_ok=True)
        variables = {
            **self._variables,
            **more,
            DIES_AT: str(dies_at),
            COUNTER: str(counter),
            "COLUMNS": "300",
        }
        begun_s = time.monotonic()
        with strongroom(*arguments, environment=variables, folder=self._folder) as process:
            if after_s is not None:
                time.sleep(after_s)
                process.kill()
            status = process.wait_end(LONGEST_S)
            took_s = time.monotonic() - begun_s
            text = counter.read_text() if counter.exists() else ""
            return Ended(status=status, logs=process.logs(), steps=int(text or 0), took_s=took_s)
