"""Metrics whose values are known at a scrape, or absent: no scrape asks a database or a node, and none shows an old value.

A value that is expensive to find is collected in a loop (`Collection`). If the collection fails, or is not done in time, its
values are absent, and `strongroom_collection_failed` says so.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from strongroom.core.clock import Clock

Value = float | Callable[[], float | None]
"""A number, or what tells it at the scrape; None: it is not known now."""
Labelled = tuple[tuple[str, ...], Value]
LATE_PASSES: Final = 4
"""So many intervals after its last success the values of a collection are outdated."""


class Reading(Collector):
    """One metric. Each source replaces all samples of its own at once."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...] = (), *, counts: bool = False) -> None:
        """`counts`: it only grows, and its samples end with `_total`."""
        self._name = name
        self._text = text
        self._labels = labels
        self._family = CounterMetricFamily if counts else GaugeMetricFamily
        self._sources: dict[str, Callable[[], Iterable[Labelled]]] = {}

    def follow(self, source: str, samples: Callable[[], Iterable[Labelled]]) -> None:
        """Shows what `samples` returns at each scrape."""
        self._sources[source] = samples

    def show(
        self, source: str, samples: Iterable[Labelled], is_current: Callable[[], bool] = lambda: True
    ) -> None:
        """Shows these samples as long as `is_current`."""
        kept = tuple(samples)
        self.follow(source, lambda: kept if is_current() else ())

    def hide(self, source: str) -> None:
        self._sources.pop(source, None)

    def describe(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        yield self._family(self._name, self._text, labels=self._labels)

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        family = self._family(self._name, self._text, labels=self._labels)
        for samples in list(self._sources.values()):
            for labels, value in samples():
                number = value() if callable(value) else value
                if number is not None:
                    family.add_metric(labels, number)
        yield family


class Sample(NamedTuple):
    """A value of a metric, with its labels."""

    reading: Reading
    labels: tuple[str, ...]
    value: Value


class Collection:
    """Collects values: `look` is one pass of a loop. `of` is the label `ledger`, `name` says what is collected."""

    def __init__(
        self,
        of: str,
        name: str,
        read: Callable[[], Awaitable[Iterable[Sample]]],
        *,
        clock: Clock,
        failed: Reading,
        every_s: float,
    ) -> None:
        """`failed` shows whether the values are absent because they could not be collected."""
        self._source = f"{of} {name}"
        self._labels = (of, name)
        self._read = read
        self._clock = clock
        self._failed = failed
        self._late_s = LATE_PASSES * every_s
        self._good_until_s = clock.monotonic_s()
        self._shown: set[Reading] = set()

    async def look(self) -> None:
        """Raises: what `read` raises; then nothing is shown."""
        self._failed.show(self._source, [(self._labels, lambda: float(not self._is_current()))])
        started_s = self._clock.monotonic_s()
        try:
            samples = list(await self._read())
        except BaseException:
            self._hide()
            raise
        found: dict[Reading, list[Labelled]] = {}
        for reading, labels, value in samples:
            found.setdefault(reading, []).append((labels, value))
        for reading in self._shown - found.keys():
            reading.hide(self._source)
        self._shown = set(found)
        self._good_until_s = started_s + self._late_s
        for reading, each in found.items():
            reading.show(self._source, each, self._is_current)

    def rest(self) -> None:
        """This process does not collect any more: another one does."""
        self._hide()
        self._failed.hide(self._source)

    def _is_current(self) -> bool:
        return self._clock.monotonic_s() < self._good_until_s

    def _hide(self) -> None:
        self._good_until_s = self._clock.monotonic_s()
        for reading in self._shown:
            reading.hide(self._source)
        self._shown.clear()
