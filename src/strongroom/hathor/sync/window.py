"""The flow control of one connection to the node: which events are new, and when the sync may acknowledge them.

The node sends up to a window of events after the acknowledged id. Each acknowledgement moves the node back: it sends
again everything after that id, and until it has done so it refuses (`ACK_TOO_LARGE`) the ids that it had sent before. So
the sync acknowledges an id when the node cannot have sent more, because its window is full, or when nothing has come for
a while. An acknowledgement that the node refuses all the same is sent again when the node has sent that far, or after a
silence.
"""

from collections.abc import Sequence

from strongroom.core.errors import Unavailable
from strongroom.hathor.protocol.events import Frame, RawEvent
from strongroom.hathor.sync.metrics import SyncMetrics

FIRST = 1
"""The first window of a connection: one event says which node this is, and how far behind the sync is."""
TOO_LARGE = "ACK_TOO_LARGE"
TOO_SMALL = "ACK_TOO_SMALL"
"""The node has that acknowledgement, or a later one. Nothing has to be done."""


class Interrupted(Exception):
    """The connection is of no use any more; the sync begins again at the last event applied."""


class Window:
    """The node's flow control, as the events and refusals that come show it."""

    def __init__(self, after_id: int, size: int, metrics: SyncMetrics) -> None:
        self._size = size
        self._metrics = metrics
        # The window that the last request granted: so many events may come after the acknowledged one.
        self._granted = FIRST
        # The last id that came in order, and the last one that the node has an acknowledgement of.
        self._received = after_id
        self._acknowledged = after_id
        # The acknowledged id before that: a refusal of the last acknowledgement leaves this one in force.
        self._before = after_id
        # The last id that came at all. After a refusal it tells how far the node has sent again.
        self._seen = after_id
        self._refused = False
        # Whether the stream jumped ahead, so that events from before the jump may still arrive.
        self._restarted = False

    @property
    def received(self) -> int:
        """The last id that came in order."""
        return self._received

    def restart(self, after_id: int) -> int:
        """Notes that the stream stops and starts again after this id; returns the window to grant."""
        self._received = self._acknowledged = self._before = self._seen = after_id
        self._granted, self._refused, self._restarted = self._size, False, True
        return self._granted

    def events_of(self, frames: Sequence[Frame]) -> list[Frame]:
        """Returns the frames that are events, and notes acknowledgements that the node refuses.

        Raises:
            Interrupted: the node refuses another request.
            Unavailable: the node has no event queue.
        """
        for frame in frames:
            if frame.type == "EVENT":
                self._seen = frame.event.id if frame.event else self._seen
            elif frame.type in (TOO_LARGE, TOO_SMALL):
                self._metrics.refused_acknowledgements.inc()
                if frame.type == TOO_LARGE:
                    # The node is at the acknowledgement before, and sends again from there.
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
                # The node sends again after each acknowledgement, so this is no fault.
                self._metrics.repeated.inc()
                continue
            if event.id != self._received + 1:
                self._metrics.gaps.inc()
                if events:
                    break  # the events before the gap are good; the others come again
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
        """Whether an event has come that is not acknowledged yet."""
        return self._received > self._acknowledged

    @property
    def due(self) -> bool:
        """Whether the node waits for an acknowledgement, and accepts it."""
        if self._refused:  # until the node has sent again what came before, it refuses every id of that
            return self.owed and self._seen >= self._received
        return self._received - self._acknowledged >= self._granted

    def acknowledge(self) -> tuple[int, int]:
        """Returns the id to acknowledge now, and the window to grant with it."""
        self._before, self._acknowledged = self._acknowledged, self._received
        self._granted, self._refused = self._size, False
        return self._received, self._size
