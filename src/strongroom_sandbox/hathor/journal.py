"""The node's event queue: every event ever, in order, as bytes ready to send."""

from collections.abc import Callable
from typing import Any

import msgspec

PEER_ID = "sandbox-peer"
NETWORK = "mainnet"
STREAM_ID = "sandbox-stream"


class Journal:
    """Events get ids from 0 without holes. `on_event` is called after each."""

    def __init__(self, *, peer_id: str = PEER_ID, network: str = NETWORK, stream_id: str = STREAM_ID) -> None:
        self.peer_id = peer_id
        self.network = network
        self.stream_id = stream_id
        self.events: list[bytes] = []
        self.on_event: Callable[[], None] = lambda: None
        self._groups = 0

    @property
    def latest_id(self) -> int:
        return len(self.events) - 1

    def next_group(self) -> int:
        self._groups += 1
        return self._groups - 1

    def append(self, kind: str, data: dict[str, Any], timestamp_s: float, group: int | None = None) -> None:
        event = {
            "id": len(self.events),
            "timestamp": timestamp_s,
            "type": kind,
            "data": data,
            "group_id": group,
        }
        self.append_encoded(msgspec.json.encode(event))

    def append_encoded(self, event: bytes) -> None:
        """Adds a recorded event, whose id must be the next."""
        self.events.append(event)
        self.on_event()

    def frame(self, event_id: int) -> bytes:
        """An event as the WebSocket sends it."""
        return (
            b'{"type":"EVENT","peer_id":"%s","network":"%s","event":%s,"latest_event_id":%d,"stream_id":"%s"}'
            % (
                self.peer_id.encode(),
                self.network.encode(),
                self.events[event_id],
                self.latest_id,
                self.stream_id.encode(),
            )
        )

    def page(self, after_id: int, size: int) -> bytes:
        """An answer of `GET event`: at most `size` events after `after_id`."""
        events = b",".join(self.events[after_id + 1 : after_id + 1 + size])
        return b'{"events":[%s],"latest_event_id":%d}' % (events, self.latest_id)
