"""The event queue's flow control is that of a real node, its quirks included."""

import pytest

from strongroom_sandbox.hathor.flow import Flow, Refusal, RefusedError


def sent(flow: Flow, latest_id: int = 99) -> list[int]:
    """Sends until the window is full."""
    ids: list[int] = []
    while (event_id := flow.next_id(latest_id)) is not None:
        flow.sent(event_id)
        ids.append(event_id)
    return ids


def test_an_acknowledgement_moves_the_sender_back() -> None:
    flow = Flow()
    flow.start(4, None)
    assert sent(flow) == [0, 1, 2, 3]
    flow.acknowledge(1, 4)
    assert sent(flow) == [2, 3, 4, 5]
    flow.acknowledge(5, 4)
    assert sent(flow) == [6, 7, 8, 9]


def test_it_starts_after_the_acknowledged_event_and_ends_at_the_latest() -> None:
    flow = Flow()
    flow.start(10, 96)
    assert sent(flow) == [97, 98, 99]
    flow.acknowledge(99, 0)
    assert sent(flow, latest_id=200) == []


def refusal(action: object) -> Refusal:
    with pytest.raises(RefusedError) as caught:
        action()  # type: ignore[operator] # a bound method
    return caught.value.refusal


def test_refusals() -> None:
    flow = Flow()
    assert refusal(lambda: flow.acknowledge(0, 1)) is Refusal.INACTIVE
    assert refusal(flow.stop) is Refusal.INACTIVE
    assert refusal(lambda: flow.start(-1, None)) is Refusal.INVALID
    flow.start(3, None)
    assert refusal(lambda: flow.start(3, None)) is Refusal.ACTIVE
    assert sent(flow) == [0, 1, 2]
    assert refusal(lambda: flow.acknowledge(3, 3)) is Refusal.ACK_TOO_LARGE
    flow.acknowledge(2, 3)
    assert refusal(lambda: flow.acknowledge(2, 3)) is Refusal.ACK_TOO_SMALL
    flow.stop()
    assert sent(flow) == []
