"""The engines of this machine, and one that can be watched."""

import threading

import pytest

from strongroom.atto.gateway.work_engines import WIDTHS, Engine, HashlibEngine, NativeEngine, StopFlag


def _native(lanes: int) -> object:
    try:
        return pytest.param(NativeEngine(lanes), id=f"native-{lanes}")
    except ValueError as error:
        return pytest.param(None, id=f"native-{lanes}", marks=pytest.mark.skip(str(error)))


ENGINES = [pytest.param(HashlibEngine(), id="hashlib"), *(_native(lanes) for lanes in WIDTHS)]


class WatchedEngine:
    """Does what the engine within does, and tells when."""

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
