"""Rates as people write them."""

import pytest

from strongroom.core.coordination.rates import Rate, parse_rate
from strongroom.core.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "rate", "shown"),
    [
        ("60/min", Rate(requests=60, seconds=60), "60/min"),
        ("5/s", Rate(requests=5, seconds=1), "5/s"),
        (" 1000000/h", Rate(requests=1_000_000, seconds=3600), "1000000/h"),
        ("7", Rate(requests=7, seconds=60), "7/min"),
    ],
)
def test_a_rate_is_requests_in_a_time(text: str, rate: Rate, shown: str) -> None:
    assert parse_rate(text) == rate
    assert str(rate) == shown
    assert parse_rate(shown) == rate


@pytest.mark.parametrize(
    "text", ["", "0/min", "-1/min", "1000001", "60/m", "60 / min", "1.5/s", "٦٠/min", "/s"]
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="looks like 60/min") as raised:
        parse_rate(text)
    assert raised.value.instance_code == "rate_invalid"
