"""What metrics show of a ledger's node: whether it answers, how high it is, and for how long it has been so high."""

import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from strongroom.core.clock import Clock
from strongroom.core.runtime.readings import Labelled
from strongroom.core.runtime.telemetry import Metrics

OUTDATED_S: Final = 60.0
"""A node that has not been asked for so long does not count as one that answers."""

Heights = Mapping[str, int]
"""By what they are of, such as the best and the final block."""


class NodeGauges:
    """The gauges of one ledger's node. `asking` goes around the question that a loop asks it."""

    def __init__(self, ledger: str, metrics: Metrics, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._answered_s = -math.inf
        self._heights: dict[str, tuple[int, float]] = {}
        up = metrics.reading(
            "strongroom_node_up", "1 while the ledger's node answers this process.", ("ledger",)
        )
        up.follow(ledger, lambda: [((ledger,), float(self._is_up()))])
        labels = ("ledger", "of")
        height = metrics.reading(
            "strongroom_node_height",
            "The height of the chain as the node has it; absent while it is away.",
            labels,
        )
        height.follow(ledger, self._height)
        age = metrics.reading(
            "strongroom_node_height_age_seconds",
            "How long this height has not grown, as this process saw it.",
            labels,
        )
        age.follow(ledger, self._age)

    def asking(self, question: Callable[[], Awaitable[Heights]]) -> Callable[[], Awaitable[None]]:
        async def ask() -> None:
            try:
                heights = await question()
            except BaseException:
                self._answered_s = -math.inf
                raise
            self._answered_s = now_s = self._clock.monotonic_s()
            known = self._heights
            self._heights = {
                name: known[name] if name in known and known[name][0] == height else (height, now_s)
                for name, height in heights.items()
            }

        return ask

    def _is_up(self) -> bool:
        return self._clock.monotonic_s() - self._answered_s < OUTDATED_S

    def _height(self) -> list[Labelled]:
        if not self._is_up():
            return []
        return [((self._ledger, name), height) for name, (height, _) in self._heights.items()]

    def _age(self) -> list[Labelled]:
        now_s = self._clock.monotonic_s()
        return [((self._ledger, name), now_s - since_s) for name, (_, since_s) in self._heights.items()]
