"""No surface is without access tests, and the management surface has nothing that a stranger may not read."""

from typing import Any

import httpx2
import pytest

from strongroom.admin.settings import SURFACE as CONSOLE
from strongroom.core.environment import SettingsError
from strongroom.core.http.exposure import Access
from strongroom.core.http.management import create_management
from strongroom.core.runtime.telemetry import Health, Metrics
from strongroom.registry import OWN
from strongroom.settings import MANAGEMENT, read_settings
from support.route_table import operations_of

pytestmark = pytest.mark.anyio

TESTED = {
    "management": "test_every_surface",
    "console": "test_admin",
    "atto": "test_atto",
    "hathor": "test_hathor",
    "hathor-ws": "test_hathor",
    "bittensor": "test_bittensor",
}
"""Where each surface's routes are held against its table of routes."""
WITHOUT_TOKENS = {
    "atto": "every route, as in the original; ATTO_REQUIRE_TOKEN=true ends that",
    "bittensor": "everything that the published token may, on a local network; WALLET_SERVICE_TOKEN ends that",
    "hathor-ws": "a wallet's messages for whoever knows its id, as in the original; HATHOR_WS_REQUIRE_TOKEN=true ends that",
    "management": "health and metrics",
}
"""What may be reached without a secret with the settings of an original, by surface; on loopback, unless the operator names the
surface. Beside these the first API of Hathor asks for no token on loopback, where HATHOR_LEGACY_API serves it."""
CONFIGURED = {
    "NODE_BASE_URL": "http://127.0.0.1:1",
    "ATTO_NETWORK": "LOCAL",
    "BITTENSOR_NETWORK": "local",
    "HATHOR_NETWORK": "privatenet",
    "DEFAULT_SERVER": "http://127.0.0.1:1/v1a/",
    "AUTH_SECRET": "a secret that is long enough for a test",
}


def open_to_strangers(**variables: str) -> set[str]:
    exposures = read_settings({**CONFIGURED, **variables}, tuple(ledger.name for ledger in OWN)).exposures
    return {one.name for one in exposures if one.access is not Access.TOKEN}


def test_every_surface_has_access_tests() -> None:
    assert {name for ledger in OWN for name in ledger.surfaces} | {MANAGEMENT, CONSOLE} == TESTED.keys()


def test_what_asks_for_no_secret_is_told_and_can_be_ended() -> None:
    assert open_to_strangers() == WITHOUT_TOKENS.keys()
    assert open_to_strangers(
        ATTO_REQUIRE_TOKEN="true",
        HATHOR_WS_REQUIRE_TOKEN="true",
        WALLET_SERVICE_TOKEN="a secret that is long enough for a test",
    ) == {MANAGEMENT}


def test_the_network_reaches_none_of_these_unless_it_is_named() -> None:
    """The published token is nobody's there."""
    with pytest.raises(SettingsError) as mistakes:
        open_to_strangers(STRONGROOM_HOST="192.0.2.1")
    named = {name for name in TESTED if f"the {name} surface without authentication" in str(mistakes.value)}
    assert named == WITHOUT_TOKENS.keys() - {"bittensor"}


async def test_management_reads_only() -> None:
    application: Any = create_management(Health(), Metrics("test"))
    found = operations_of(application)
    assert {one.name for one in found} == {
        "GET /health",
        "GET /health/liveness",
        "GET /health/readiness",
        "GET /metrics",
        "GET /metrics/{name}",
        "GET /prometheus",
    }
    async with httpx2.AsyncClient(
        verify=False, transport=httpx2.ASGITransport(app=application), base_url="http://127.0.0.1"
    ) as client:
        for one in found:
            for method in ("POST", "PUT", "DELETE", "PATCH"):
                answer = await client.request(method, one.path_with({"name": "x"}))
                assert answer.status_code == 405, one.name
