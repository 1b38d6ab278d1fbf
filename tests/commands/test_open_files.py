"""The process takes no more connections than it may have files."""

import resource

import pytest

from strongroom.core.http.connections.limits import ConnectionLimits
from strongroom.core.runtime.telemetry import Metrics
from strongroom.server import OWN_FILES, _gate


@pytest.mark.parametrize(
    ("files", "wanted", "expected"),
    [
        (65_536, 24_000, 24_000),
        (1_024, 24_000, 1_024 - OWN_FILES),
        (256, 24_000, 128),
        (1_024, 100, 100),
        (resource.RLIM_INFINITY, 24_000, 24_000),
    ],
)
def test_connections_leave_files_for_the_process(
    files: int, wanted: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (files, files))
    gate = _gate(ConnectionLimits(max_connections=wanted), Metrics("test"))
    assert gate.limits.max_connections == expected
