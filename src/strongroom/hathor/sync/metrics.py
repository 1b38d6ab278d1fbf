"""The metrics of the sync."""

from collections.abc import Callable
from typing import Final

from strongroom.core.runtime.telemetry import Metrics

SYNC: Final = "sync"
MAX_KINDS: Final = 20
OTHERS: Final = "other"


class SyncMetrics:
    def __init__(self, metrics: Metrics) -> None:
        self._kinds: set[str] = set()
        self.events = metrics.counter("strongroom_hathor_sync_events", "Events applied.")
        self._unknown = metrics.counter(
            "strongroom_hathor_sync_unknown_events", "Events of an unknown kind.", ("kind",)
        )
        self.repeated = metrics.counter("strongroom_hathor_sync_repeated_events", "Events that came again.")
        self.gaps = metrics.counter("strongroom_hathor_sync_gaps", "Missing events noticed, and read again.")
        self.refused = metrics.counter(
            "strongroom_hathor_sync_refused_events", "Impossible events; the sync waits there."
        )
        self.refused_acknowledgements = metrics.counter(
            "strongroom_hathor_sync_refused_acknowledgements",
            "Acknowledgements that the node refused; they are sent again.",
        )
        self.reconnects = metrics.counter(
            "strongroom_hathor_sync_reconnects", "Connections to the node that ended."
        )
        self.batch = metrics.histogram("strongroom_hathor_sync_batch_seconds", "Duration of a batch.")
        self._last_event = metrics.reading(
            "strongroom_hathor_sync_last_event_id",
            "The last event applied; absent while another process follows.",
        )
        self._behind = metrics.reading(
            "strongroom_hathor_sync_events_behind",
            "Events that the node has and we have not; absent while another process follows, or nobody knows.",
        )
        self._lag = metrics.reading(
            "strongroom_hathor_sync_lag_seconds",
            "How long ago the sync last had all events of the node; absent while another process follows.",
        )

    def count_unknown(self, kind: str) -> None:
        """A node that invents kinds does not fill the memory."""
        known = kind in self._kinds or len(self._kinds) < MAX_KINDS
        if known:
            self._kinds.add(kind)
        self._unknown.labels(kind if known else OTHERS).inc()

    def begin(self, lag_s: Callable[[], float]) -> None:
        """This process follows now."""
        self._lag.show(SYNC, [((), lag_s)])

    def applied(self, last_event_id: int) -> None:
        self._last_event.show(SYNC, [((), last_event_id)])

    def know(self, behind: int) -> None:
        self._behind.show(SYNC, [((), behind)])

    def forget(self) -> None:
        """How far the sync is behind is not known any more."""
        self._behind.hide(SYNC)

    def end(self) -> None:
        """Another process follows."""
        self.forget()
        self._last_event.hide(SYNC)
        self._lag.hide(SYNC)
