"""Eras that others encoded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.bittensor.client.chain import encode_era
from strongroom.bittensor.protocol.eras import Era
from strongroom.bittensor.protocol.errors import ProtocolError


@given(st.integers(0, 10**7), st.integers(1, 2**16), st.integers(0, 100))
def test_an_era_is_read_as_it_was_meant(current: int, period: int, later: int) -> None:
    era = Era.starting(current, period)
    seen_at = min(current + later, era.last)
    assert Era.decode(era.encode(), seen_at) == era
    assert encode_era(period, current) == era.encode()


@pytest.mark.parametrize("raw", [b"", b"\x00", b"\x00\x00", b"\x01\x01\x01", b"\x01\xff"])
def test_what_never_ends_or_is_no_era_is_refused(raw: bytes) -> None:
    with pytest.raises(ProtocolError):
        Era.decode(raw, 100)
