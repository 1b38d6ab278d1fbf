"""How much of a pool of connections is used: plain counting, so that it costs a unit of work next to nothing."""


class PoolLoad:
    """Counts the units that use one pool or wait for it: each runs in `with load:`."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self.waits = 0
        """Units that found every connection in use."""
        self._units = 0

    @property
    def in_use(self) -> int:
        return min(self._units, self.size)

    @property
    def waiting(self) -> int:
        return max(0, self._units - self.size)

    def __enter__(self) -> None:
        self._units += 1
        if self._units > self.size:
            self.waits += 1

    def __exit__(self, *_error: object) -> None:
        self._units -= 1
