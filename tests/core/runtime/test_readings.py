"""A value that is not known is absent, and no old value is shown in its place."""

import pytest

from strongroom.core.runtime.node_gauges import OUTDATED_S, NodeGauges
from strongroom.core.runtime.readings import LATE_PASSES, Collection, Sample
from strongroom.core.runtime.telemetry import Metrics
from support.clock import ManualClock

EVERY_S = 10.0


class Water:
    """What is collected: by its labels, or nothing."""

    def __init__(self, metrics: Metrics, clock: ManualClock, ledger: str) -> None:
        self.level: dict[str, float] | None = {}
        self._ledger = ledger
        self._reading = metrics.reading("water_level", "How high.", ("ledger", "place"))
        self.collection = Collection(
            ledger, "water", self._read, clock=clock, failed=metrics.collection_failed, every_s=EVERY_S
        )

    async def _read(self) -> list[Sample]:
        if self.level is None:
            raise ConnectionError
        return [Sample(self._reading, (self._ledger, place), value) for place, value in self.level.items()]


async def test_what_cannot_be_collected_is_absent_and_said_to_be() -> None:
    metrics, clock = Metrics("test"), ManualClock()
    here, there = Water(metrics, clock, "here"), Water(metrics, clock, "there")

    def value(place: str, ledger: str = "here") -> float | None:
        return metrics.registry.get_sample_value("water_level", {"ledger": ledger, "place": place})

    def failed(ledger: str = "here") -> float | None:
        labels = {"ledger": ledger, "collection": "water"}
        return metrics.registry.get_sample_value("strongroom_collection_failed", labels)

    assert failed() is None
    here.level, there.level = {"sea": 1, "lake": 2}, {"sea": 7}
    await here.collection.look()
    await there.collection.look()
    assert (value("sea"), value("lake"), value("sea", "there")) == (1, 2, 7)
    assert (failed(), failed("there")) == (0, 0)
    here.level = {"sea": 3}
    await here.collection.look()
    assert (value("sea"), value("lake")) == (3, None)
    here.level = None
    with pytest.raises(ConnectionError):
        await here.collection.look()
    assert (value("sea"), value("sea", "there")) == (None, 7)
    assert (failed(), failed("there")) == (1, 0)
    here.level = {"sea": 4}
    await here.collection.look()
    clock.advance(EVERY_S * LATE_PASSES - 1)
    assert (value("sea"), failed()) == (4, 0)
    clock.advance(1)  # the next pass hangs, and nothing raises
    assert (value("sea"), failed()) == (None, 1)
    there.collection.rest()
    assert (value("sea", "there"), failed("there")) == (None, None)


async def test_a_value_that_tells_itself_is_asked_at_the_scrape() -> None:
    metrics, levels = Metrics("test"), {"sea": 1.0}
    reading = metrics.reading("water_seen", "How often.", ("place",), counts=True)
    reading.follow("here", lambda: [((place,), level) for place, level in levels.items()])
    levels["lake"] = 5
    read = metrics.registry.get_sample_value
    assert read("water_seen_total", {"place": "lake"}) == 5
    assert metrics.reading("water_seen", "How often.", ("place",)) is reading
    reading.hide("here")
    assert read("water_seen_total", {"place": "lake"}) is None


async def test_a_node_that_does_not_answer_has_no_height() -> None:
    metrics, clock = Metrics("test"), ManualClock()
    heights: dict[str, int] | None = {"best": 7, "final": 5}

    async def question() -> dict[str, int]:
        if heights is None:
            raise ConnectionError
        return heights

    ask = NodeGauges("toy", metrics, clock).asking(question)

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"strongroom_node_{name}", {"ledger": "toy", **labels})

    assert value("up") == 0
    await ask()
    clock.advance(30)
    heights = {"best": 8, "final": 5}
    await ask()
    assert (value("up"), value("height", of="best"), value("height", of="final")) == (1, 8, 5)
    assert (value("height_age_seconds", of="best"), value("height_age_seconds", of="final")) == (0, 30)
    heights = None
    with pytest.raises(ConnectionError):
        await ask()
    assert (value("up"), value("height", of="best")) == (0, None)
    clock.advance(1)
    assert value("height_age_seconds", of="final") == 31  # the chain stands still, as far as anybody knows
    heights = {}
    await ask()
    clock.advance(OUTDATED_S)  # nobody asks any more
    assert value("up") == 0
