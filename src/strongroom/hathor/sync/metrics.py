"""The metrics of the sync."""

from strongroom.core.runtime.telemetry import Metrics


class SyncMetrics:
    def __init__(self, metrics: Metrics) -> None:
        self.events = metrics.counter("strongroom_hathor_sync_events", "Events applied.")
        self.unknown = metrics.counter(
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
        self.last_event = metrics.gauge("strongroom_hathor_sync_last_event_id", "The last event applied.")
        self.behind = metrics.gauge(
            "strongroom_hathor_sync_events_behind", "Events that the node has and we have not."
        )
