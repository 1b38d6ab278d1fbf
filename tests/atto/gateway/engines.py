"""The engines of this machine, and one that can be watched."""

import threading

import pytest

from strongroom.atto.gateway.work_engines import WIDTHS, Engine, HashlibEngine, NativeEngine, StopFlag

OFFERED = [lanes for lanes in WIDTHS if lanes <= NativeEngine().lanes]
"""The widths of this processor; the summary of the tests names those that it lacks."""
ENGINES = [
    pytest.param(HashlibEngine(), id="hashlib"),
    *(pytest.param(NativeEngine(lanes), id=f"native-{lanes}") for lanes in OFFERED),
]


class WatchedEngine:
    """Runs the inner engine, and reports when a search begins."""

    name = "watched"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.is_parallel = engine.is_parallel
        self.started = threading.Event()
        self.ended = threading.Event()
        self.targets: list[bytes] = []
        self.starts: list[int] = []

    def search(self, target: bytes, threshold: int, start: int, stop: StopFlag) -> int | None:
        self.targets.append(target)
        self.starts.append(start)
        self.ended.clear()
        self.started.set()
        try:
            return self._engine.search(target, threshold, start, stop)
        finally:
            self.ended.set()
