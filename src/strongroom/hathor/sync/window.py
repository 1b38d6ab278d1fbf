"""The flow of one connection to the node: which events are new, and when they may be acknowledged.

A node sends up to a window of events after the acknowledged id. Each acknowledgement moves it back: it sends again
everything after that id, and until it has done so it refuses (`ACK_TOO_LARGE`) the ids that it had sent before. So an
id is acknowledged when the node cannot have sent more, because its window is full, or when nothing has come for a
while. What is refused all the same is acknowledged again when the node has sent that far, or after a silence.
"""

from collections.abc import Sequence

from strongroom.core.errors import Unavailable
from strongroom.hathor.protocol.events import Frame, RawEvent
from strongroom.hathor.sync.metrics import SyncMetrics

FIRST = 1
"""The first window of a connection: one event says which node it is, and how far behind we are."""
TOO_LARGE = "ACK_TOO_LARGE"
TOO_SMALL = "ACK_TOO_SMALL"
"""The node has that acknowledgement, or a later one."""


class Interrupted(Exception):
    """The stream has to be read again from the last event applied."""


class Window:
    """The node's flow control as it is seen from here."""

    def __init__(self, after_id: int, size: int, metrics: SyncMetrics) -> None:
        self._size = size
        self._metrics = metrics
        self._granted = FIRST
        self._received = after_id
        self._acknowledged = after_id
        self._before = after_id
        self._seen = after_id
        self._refused = False
        self._restarted = False

    @property
    def received(self) -> int:
        """The last id that came in order."""
        return self._received

    def restart(self, after_id: int) -> int:
        """Notes that the stream was stopped and starts again after this id. Returns the new window."""
        self._received = self._acknowledged = self._before = self._seen = after_id
        self._granted, self._refused, self._restarted = self._size, False, True
        return self._granted

    def events_of(self, frames: Sequence[Frame]) -> list[Frame]:
        """Returns the frames that are events, and notes refused acknowledgements.

        Raises:
            Interrupted: the node refused another request.
            Unavailable: it has no event queue.
        """
        for frame in frames:
            if frame.type == "EVENT":
                self._seen = frame.event.id if frame.event else self._seen
            elif frame.type in (TOO_LARGE, TOO_SMALL):
                self._metrics.refused_acknowledgements.inc()
                if frame.type == TOO_LARGE:
                    self._acknowledged = self._seen = self._before
                    self._refused = True
            elif frame.type == "EVENT_WS_NOT_RUNNING":
                raise Unavailable("The node runs without --enable-event-queue")
            else:
                raise Interrupted(f"The node refused a request: {frame.type} {frame.error_message or ''}")
        return [frame for frame in frames if frame.type == "EVENT"]

    def new_events(self, frames: Sequence[Frame]) -> list[RawEvent]:
        """Returns the events that come in order.

        Raises:
            Interrupted: an id is missing, or the stream changed in the middle of the connection.
        """
        events: list[RawEvent] = []
        for frame in frames:
            event = frame.event
            if event is None or event.id <= self._received or self._is_old(event.id):
                self._metrics.repeated.inc()
                continue
            if event.id != self._received + 1:
                self._metrics.gaps.inc()
                if events:
                    break  # what came before the gap is good; the rest is read again
                raise Interrupted(f"Event {event.id} came after {self._received}")
            if frame.stream_id != frames[0].stream_id or frame.network != frames[0].network:
                raise Interrupted("The node changed its stream")
            events.append(event)
            self._received = event.id
            self._restarted = False
        return events

    def _is_old(self, event_id: int) -> bool:
        """Returns whether the event was on its way when the stream was stopped."""
        return self._restarted and event_id > self._received + 1

    @property
    def owed(self) -> bool:
        """Whether an event that came is not acknowledged yet."""
        return self._received > self._acknowledged

    @property
    def due(self) -> bool:
        """Whether the node waits for an acknowledgement and will accept it."""
        if self._refused:
            return self.owed and self._seen >= self._received
        return self._received - self._acknowledged >= self._granted

    def acknowledge(self) -> tuple[int, int]:
        """Returns the id to acknowledge now, and the window to grant with it."""
        self._before, self._acknowledged = self._acknowledged, self._received
        self._granted, self._refused = self._size, False
        return self._received, self._size
