"""A node sends again what follows an acknowledgement; the sync's acknowledgements never cross what is on its way."""

import random
from collections import deque
from dataclasses import dataclass, field

import pytest

from strongroom.core.clock import SystemClock
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.storage.database import Database
from strongroom.hathor.protocol.events import Frame, RawEvent
from strongroom.hathor.sync.metrics import SyncMetrics
from strongroom.hathor.sync.window import FIRST, Window
from strongroom_sandbox.hathor.event_stream import Subscriptions
from strongroom_sandbox.hathor.flow import Flow, RefusedError
from strongroom_sandbox.hathor.generate import PAYMENTS_ONLY, Generator, Plan
from support.hathor.model import Model, stored_tables
from support.hathor.running import Following, following, replaying, serving_node, synced
from support.hathor.streams import prepare
from support.waiting import eventually

LATENCY_MS = 15
FORKS = {"pay": 30, "block": 20, "fork": 50}


@pytest.mark.parametrize("pages", [True, False], ids=["pages", "no pages"])
@pytest.mark.parametrize("window", [64, 1000])
async def test_thousands_of_events_and_a_burst_of_reorganisations_need_one_connection(
    database: Database, window: int, *, pages: bool
) -> None:
    await prepare(database)
    generator = Generator(21, Plan(deepest_fork=40))
    journal = generator.run(2_500)
    node = replaying(journal)
    node.faults.latency_ms = LATENCY_MS
    node.faults.pages_down = 0 if pages else 10**9
    subscriptions = Subscriptions(journal)
    async with serving_node(node, subscriptions) as url:
        follower = Following(database, url, window=window)
        async with following(follower):
            await synced(database, journal.latest_id)
            generator.plan.weights = FORKS
            generator.run(journal.latest_id + 1_000)  # at once
            generator.plan.weights = PAYMENTS_ONLY
            for _ in range(8):
                await synced(database, journal.latest_id - 5)
                generator.run(journal.latest_id + 2)
            await synced(database, journal.latest_id)
            await eventually(lambda: subscriptions.acknowledged == [journal.latest_id])
            counted = ("reconnects", "refused_acknowledgements", "repeated_events", "gaps")
            values = {name: follower.value(f"strongroom_hathor_sync_{name}_total") for name in counted}
            repeated = values.pop("repeated_events")
            assert values == {"reconnects": 0, "refused_acknowledgements": 0, "gaps": 0}
            assert repeated < journal.latest_id / 4
            assert subscriptions.opened == 1
    now_s = SystemClock().now_ms() // 1000
    assert await database.read(stored_tables) == Model(10).apply(journal.events).tables(now_s)


@dataclass
class Connection:
    """A node and a follower with everything that is on its way between them, moved step by step."""

    seed: int
    size: int
    latest: int = 300
    flow: Flow = field(default_factory=Flow)
    down: deque[Frame] = field(default_factory=deque)
    up: deque[tuple[str, int, int]] = field(default_factory=deque)
    got: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.metrics = Metrics("test")
        self.window = Window(-1, self.size, SyncMetrics(self.metrics))
        self.random = random.Random(self.seed)
        self.flow.start(FIRST, None)

    def send(self) -> None:
        if (event_id := self.flow.next_id(self.latest)) is not None:
            self.flow.sent(event_id)
            self.down.append(Frame(type="EVENT", event=RawEvent(id=event_id, type="LOAD_STARTED")))

    def obey(self) -> None:
        if not self.up:
            return
        kind, event_id, size = self.up.popleft()
        try:
            if kind == "ACK":
                self.flow.acknowledge(event_id, size)
            else:
                self.flow.stop()
                self.flow.start(size, event_id)
        except RefusedError as error:
            self.down.append(Frame(type=error.refusal.value))

    def receive(self) -> None:
        count = min(len(self.down), self.random.randint(1, self.size))
        frames = self.window.events_of([self.down.popleft() for _ in range(count)])
        self.got += [event.id for event in self.window.new_events(frames)]
        if self.window.due:
            self.acknowledge()

    def acknowledge(self) -> None:
        self.up.append(("ACK", *self.window.acknowledge()))

    def rest(self) -> None:
        if self.window.owed:
            self.acknowledge()

    def jump(self) -> None:
        """Pages were read up to some event."""
        if self.window.received < self.latest - self.size:
            to = self.random.randint(self.window.received + 1, self.latest)
            self.got += range(self.window.received + 1, to + 1)
            self.up.append(("START", to, self.window.restart(to)))

    @property
    def refused(self) -> float | None:
        return self.metrics.registry.get_sample_value("strongroom_hathor_sync_refused_acknowledgements_total")

    def settle(self) -> None:
        """Everything arrives, and whoever waits in vain rests."""
        for _ in range(10_000):
            if self.flow.next_id(self.latest) is not None:
                self.send()
            elif self.down:
                self.receive()
            elif self.up:
                self.obey()
            elif self.window.owed:
                self.rest()
            else:
                return
        raise AssertionError("it never settles")


@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_an_acknowledgement_for_a_full_window_is_never_refused(size: int) -> None:
    for seed in range(20):
        connection = Connection(seed, size)
        for _ in range(2_000):
            connection.random.choice((connection.send, connection.receive, connection.obey))()
        assert connection.refused == 0
        connection.settle()
        assert connection.got == list(range(connection.latest + 1))
        assert connection.flow.last_ack == connection.latest


@pytest.mark.parametrize("size", [1, 2, 7, 40])
def test_whatever_crosses_nothing_is_lost_and_the_last_event_is_acknowledged(size: int) -> None:
    for seed in range(50):
        connection = Connection(seed, size)
        steps = (connection.send, connection.receive, connection.obey)
        for _ in range(600):
            connection.random.choices((*steps, connection.rest, connection.jump), (9, 9, 9, 3, 1))[0]()
        connection.settle()
        assert connection.got == list(range(connection.latest + 1))
        assert connection.flow.last_ack == connection.latest


def test_a_refused_acknowledgement_is_sent_again_when_the_node_has_come_that_far() -> None:
    window = Window(-1, 10, SyncMetrics(Metrics("test")))
    assert state_after(window, frames(0)) == "due"
    assert window.acknowledge() == (0, 10)
    assert state_after(window, frames(*range(1, 11))) == "due"
    assert window.acknowledge() == (10, 10)
    assert state_after(window, []) == "nothing"
    assert state_after(window, [Frame(type="ACK_TOO_LARGE")]) == "owed"
    assert state_after(window, frames(4, 5, 6)) == "owed"
    assert state_after(window, frames(7, 8, 9, 10)) == "due"
    assert window.acknowledge() == (10, 10)
    assert state_after(window, [Frame(type="ACK_TOO_SMALL")]) == "nothing"


def frames(*ids: int) -> list[Frame]:
    return [Frame(type="EVENT", event=RawEvent(id=event_id, type="LOAD_STARTED")) for event_id in ids]


def state_after(window: Window, came: list[Frame]) -> str:
    window.new_events(window.events_of(came))
    if window.due:
        return "due"
    return "owed" if window.owed else "nothing"
