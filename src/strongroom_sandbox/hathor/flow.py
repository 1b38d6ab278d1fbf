"""The flow control of one event connection, as a real node has it: a window, acknowledgements, and its quirks."""

import enum
from dataclasses import dataclass

NOTHING = -1


class Refusal(enum.StrEnum):
    """A node's answer to a request that it refuses."""

    NOT_RUNNING = "EVENT_WS_NOT_RUNNING"
    ACTIVE = "STREAM_IS_ACTIVE"
    INACTIVE = "STREAM_IS_INACTIVE"
    INVALID = "VALIDATION_ERROR"
    ACK_TOO_SMALL = "ACK_TOO_SMALL"
    ACK_TOO_LARGE = "ACK_TOO_LARGE"


class RefusedError(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal


@dataclass(slots=True)
class Flow:
    """Which event comes next. An acknowledgement moves the sender back to the acknowledged id."""

    active: bool = False
    window: int = 0
    last_ack: int = NOTHING
    last_sent: int = NOTHING

    def start(self, window: int, last_ack: int | None) -> None:
        """Begins after `last_ack`, or with the first event.

        Raises:
            RefusedError: it is active already, or a number is impossible, or an id after this one was acknowledged
                on this connection. The sender is moved all the same then, as that of the node.
        """
        if self.active:
            raise RefusedError(Refusal.ACTIVE)
        if window < 0 or (last_ack is not None and last_ack < 0):
            raise RefusedError(Refusal.INVALID)
        self.last_sent = NOTHING if last_ack is None else last_ack
        if self.last_ack != NOTHING and self.last_sent <= self.last_ack:
            raise RefusedError(Refusal.ACK_TOO_SMALL)
        self.active, self.window = True, window
        self.last_ack = self.last_sent

    def acknowledge(self, event_id: int, window: int) -> None:
        """Grants a window after an event, and moves the sender back to it.

        Raises:
            RefusedError: nothing is moved.
        """
        if window < 0 or event_id < 0:
            raise RefusedError(Refusal.INVALID)
        if not self.active:
            raise RefusedError(Refusal.INACTIVE)
        if event_id <= self.last_ack:
            raise RefusedError(Refusal.ACK_TOO_SMALL)
        if event_id > self.last_sent:
            raise RefusedError(Refusal.ACK_TOO_LARGE)
        self.window = window
        self.last_ack = self.last_sent = event_id

    def stop(self) -> None:
        if not self.active:
            raise RefusedError(Refusal.INACTIVE)
        self.active = False

    def next_id(self, latest_id: int) -> int | None:
        """The id of the event to send now; None if all are sent, or the window is full."""
        if not self.active or self.last_sent >= latest_id or self.last_sent - self.last_ack >= self.window:
            return None
        return self.last_sent + 1

    def sent(self, event_id: int) -> None:
        self.last_sent = event_id
