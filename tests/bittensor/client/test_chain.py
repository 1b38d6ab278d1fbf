"""Eras as the SDK's library writes them, whatever the period and the block."""

from hypothesis import given
from hypothesis import strategies as st
from scalecodec.base import RuntimeConfigurationObject

from strongroom.bittensor.client.chain import encode_era


@given(period=st.integers(4, 100_000), current=st.integers(0, 10_000_000))
def test_the_era_is_the_librarys(period: int, current: int) -> None:
    era = RuntimeConfigurationObject().create_scale_object("Era")
    assert encode_era(period, current) == bytes(era.encode({"period": period, "current": current}).data)
