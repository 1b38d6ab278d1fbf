from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atto.protocol.vectors import VECTORS, unhex
from strongroom.atto.protocol import (
    InvalidNetwork,
    InvalidWork,
    Network,
    is_work_valid,
    threshold,
    verify_work,
    work_value,
)

WORKS = VECTORS["work"]
THRESHOLDS = [
    (int(year), network, value)
    for year, by_network in VECTORS["thresholds"].items()
    for network, value in by_network.items()
]


def milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


@pytest.mark.parametrize(("year", "network", "value"), THRESHOLDS)
def test_threshold_holds_for_the_whole_year(year: int, network: str, value: int) -> None:
    first_ms = milliseconds(datetime(year, 1, 1, tzinfo=UTC))
    end_ms = milliseconds(datetime(year + 1, 1, 1, tzinfo=UTC))
    assert threshold(Network[network], first_ms) == value
    assert threshold(Network[network], end_ms - 1) == value


@pytest.mark.parametrize("timestamp_ms", [-1, 0, 1_704_067_199_999, 253_402_300_800_000, 2**63 - 1])
def test_no_threshold_outside_the_years_it_is_defined_for(timestamp_ms: int) -> None:
    with pytest.raises(InvalidWork):
        threshold(Network.LIVE, timestamp_ms)


@given(st.sampled_from(Network), st.integers(1_704_067_200_000, 253_402_300_799_999))
def test_threshold_never_rises(network: Network, timestamp_ms: int) -> None:
    year_ms = 366 * 86_400_000
    if timestamp_ms + year_ms < 253_402_300_800_000:
        assert threshold(network, timestamp_ms + year_ms) <= threshold(network, timestamp_ms)


@pytest.mark.parametrize("vector", WORKS)
def test_work_vectors(vector: dict[str, Any]) -> None:
    network, timestamp_ms = Network[vector["network"]], vector["timestamp"]
    target, work = unhex(vector["target"]), unhex(vector["work"])
    assert work_value(work, target) == vector["value"]
    assert threshold(network, timestamp_ms) == vector["threshold"]
    assert is_work_valid(network, timestamp_ms, target, work) is vector["valid"]


def test_invalid_work_is_refused_with_its_reason() -> None:
    vector = WORKS[2]
    with pytest.raises(InvalidWork, match=r"^Work is invalid$"):
        verify_work(Network.LIVE, vector["timestamp"], unhex(vector["target"]), unhex(vector["work"]))


def test_value_at_the_threshold_is_valid_and_one_above_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    work, target = bytes(8), bytes(32)
    value = work_value(work, target)
    for highest, valid in ((value, True), (value - 1, False)):
        monkeypatch.setattr("strongroom.atto.protocol.work.threshold", lambda *_, highest=highest: highest)
        assert is_work_valid(Network.LIVE, 0, target, work) is valid


@pytest.mark.parametrize("network", ["LIVE", "DEV"])
def test_work_of_genesis(network: str) -> None:
    vector = VECTORS["genesis"][network]
    block = vector["json"]["block"]
    public_key, work = unhex(block["publicKey"]), unhex(vector["json"]["work"])
    assert work_value(work, public_key) == vector["work_value"]
    assert threshold(Network[network], block["timestamp"]) == vector["threshold"]
    verify_work(Network[network], block["timestamp"], public_key, work)


@pytest.mark.parametrize(("work_size", "target_size"), [(7, 32), (9, 32), (8, 31), (8, 33)])
def test_wrong_sizes_are_refused(work_size: int, target_size: int) -> None:
    with pytest.raises(InvalidWork, match="8 bytes"):
        verify_work(Network.LOCAL, WORKS[0]["timestamp"], bytes(target_size), bytes(work_size))


@pytest.mark.parametrize("text", ["live", "LIVE", "Live"])
def test_network_name_in_any_case(text: str) -> None:
    assert Network.parse(text) is Network.LIVE


@pytest.mark.parametrize("text", ["", "UNKNOWN", "0", "LIVE "])
def test_unknown_network_is_refused(text: str) -> None:
    with pytest.raises(InvalidNetwork):
        Network.parse(text)
