"""Requests of wallets count by route and status."""

import pytest

from strongroom.core.storage.database import Database
from support.clock import ManualClock
from support.hathor.api import recorded_rows, serving_api

pytestmark = pytest.mark.anyio


async def test_requests_count_by_route(database: Database, clock: ManualClock) -> None:
    async with serving_api(database, clock, rows=recorded_rows()) as api:

        def count(method: str, uri: str, status: int) -> float | None:
            outcome = "SUCCESS" if status == 200 else "CLIENT_ERROR"
            labels = {
                "ledger": "hathor",
                "method": method,
                "uri": uri,
                "status": str(status),
                "outcome": outcome,
            }
            return api.metrics.registry.get_sample_value("http_server_requests_seconds_count", labels)

        for path in ("/wallet/status", "/dev/wallet/status", "/wallet/transactions/aa"):
            assert (await api.client.get(path)).status_code == 401  # nobody said who asks
        assert (await api.client.get("/no/such/route")).status_code in {401, 403, 404}
        await api.client.options("/wallet/status")
        assert count("GET", "/wallet/status", 401) == 2
        assert count("GET", "/wallet/transactions/{txId}", 401) == 1
        assert count("OPTIONS", "unknown", 200) == 1
        assert (
            sum(
                sample.value
                for family in api.metrics.registry.collect()
                for sample in family.samples
                if sample.name == "http_server_requests_seconds_count"
            )
            == 5
        )
