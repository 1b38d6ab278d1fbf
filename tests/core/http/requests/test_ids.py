"""Which id a request gets."""

import pytest

from strongroom.core.http.requests.ids import request_id_of
from support.clock import SeededEntropy

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
MADE = SeededEntropy().token(16).hex()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, MADE),
        ({"x-request-id": "order-4711.v2_A"}, "order-4711.v2_A"),
        ({"x-request-id": "a" * 128}, "a" * 128),
        ({"x-request-id": "a" * 129}, MADE),
        ({"x-request-id": ""}, MADE),
        ({"x-request-id": "two words"}, MADE),
        ({"x-request-id": "line\nbreak"}, MADE),
        ({"x-request-id": "m\xfcnchen"}, MADE),
        ({"traceparent": f"00-{TRACE}-{PARENT}-01"}, TRACE),
        ({"x-request-id": "mine", "traceparent": f"00-{TRACE}-{PARENT}-01"}, "mine"),
        ({"x-request-id": "not mine", "traceparent": f"00-{TRACE}-{PARENT}-00"}, TRACE),
        ({"traceparent": f"cc-{TRACE}-{PARENT}-01-what-comes-later"}, TRACE),
        ({"traceparent": f"00-{TRACE}-{PARENT}-01-more"}, MADE),
        ({"traceparent": f"ff-{TRACE}-{PARENT}-01"}, MADE),
        ({"traceparent": f"00-{'0' * 32}-{PARENT}-01"}, MADE),
        ({"traceparent": f"00-{TRACE}-{'0' * 16}-01"}, MADE),
        ({"traceparent": f"00-{TRACE.upper()}-{PARENT}-01"}, MADE),
    ],
)
def test_a_request_has_the_id_that_was_given_or_a_new_one(headers: dict[str, str], expected: str) -> None:
    given = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    assert request_id_of(given, SeededEntropy()) == expected


def test_an_id_that_is_given_twice_counts_as_none() -> None:
    assert request_id_of([(b"x-request-id", b"one"), (b"x-request-id", b"two")], SeededEntropy()) == MADE
