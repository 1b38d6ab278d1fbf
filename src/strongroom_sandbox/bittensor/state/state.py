"""The chain's state: keys and values, changes that can be taken back, and a copy of it after every block."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress


class State:
    """Raw storage. What happens inside `savepoint` is undone when an exception leaves it."""

    def __init__(self, values: dict[bytes, bytes] | None = None) -> None:
        self._values = dict(values or {})
        self._undo: list[tuple[bytes, bytes | None]] = []
        self._savepoints = 0

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self._remember(key)
        self._values[key] = value

    def remove(self, key: bytes) -> None:
        self._remember(key)
        self._values.pop(key, None)

    def keys(self, prefix: bytes) -> list[bytes]:
        """Keys under a prefix, ascending."""
        return sorted(key for key in self._values if key.startswith(prefix))

    def snapshot(self) -> dict[bytes, bytes]:
        """All of it, to make another State from."""
        return dict(self._values)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        start = len(self._undo)
        self._savepoints += 1
        try:
            yield
        except BaseException:
            while len(self._undo) > start:
                key, value = self._undo.pop()
                if value is None:
                    self._values.pop(key, None)
                else:
                    self._values[key] = value
            raise
        finally:
            self._savepoints -= 1
            if not self._savepoints:
                self._undo.clear()

    def _remember(self, key: bytes) -> None:
        if self._savepoints:
            self._undo.append((key, self._values.get(key)))

    @contextmanager
    def trial(self) -> Iterator[None]:
        """Whatever happens inside is undone."""
        with suppress(_TrialEnds), self.savepoint():
            yield
            raise _TrialEnds


class _TrialEnds(Exception):
    """Takes a trial back."""
