"""What a probe, a scraper and a person see of the process."""

from typing import Any

import aiohttp

from strongroom.core.http.management import create_management
from strongroom.core.runtime.telemetry import ComponentHealth, Health, Metrics, Status
from support.serving import serving


async def get(url: str) -> tuple[int, str, Any]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        is_json = response.content_type == "application/json"
        body = await response.json() if is_json else await response.text()
        return response.status, response.headers["content-type"], body


async def test_health_reports_each_part() -> None:
    health = Health()
    health.report("database", Status.UP, vital=True)
    health.report("atto.node", Status.DOWN, "connection refused")
    async with serving(create_management(health, Metrics("strongroom"))) as url:
        assert await get(f"{url}/health") == (
            200,
            "application/json",
            {
                "status": "DEGRADED",
                "groups": ["liveness", "readiness"],
                "components": {
                    "atto.node": {"status": "DOWN", "details": {"message": "connection refused"}},
                    "database": {"status": "UP"},
                    "livenessState": {"status": "UP"},
                    "readinessState": {"status": "UP"},
                },
            },
        )


async def test_a_vital_part_that_is_down_answers_503() -> None:
    health = Health()
    health.report("database", Status.DOWN, "OperationalError", vital=True)
    async with serving(create_management(health, Metrics("strongroom"))) as url:
        status, _, body = await get(f"{url}/health")
    assert status == 503
    assert body["status"] == "DOWN"


async def test_a_process_without_its_database_is_alive_and_not_ready() -> None:
    health = Health()
    health.report("node", Status.DOWN)
    health.report("database", Status.UP, vital=True)
    async with serving(create_management(health, Metrics("strongroom"))) as url:
        ready = {"readinessState": {"status": "UP"}, "database": {"status": "UP"}}
        assert (await get(f"{url}/health/readiness"))[::2] == (200, {"status": "UP", "components": ready})
        health.report("database", Status.DOWN, "it does not answer", vital=True)
        alive = {"status": "UP", "components": {"livenessState": {"status": "UP"}}}
        assert (await get(f"{url}/health/liveness"))[::2] == (200, alive)
        status, _, body = await get(f"{url}/health/readiness")
        assert (status, body["status"]) == (503, "DOWN")
        assert body["components"]["readinessState"] == {"status": "OUT_OF_SERVICE"}
        assert body["components"]["database"]["status"] == "DOWN"
        assert (await get(f"{url}/health"))[0] == 503


async def test_a_process_that_ends_is_alive_and_out_of_service() -> None:
    health = Health()
    health.report("database", Status.UP, vital=True)
    async with serving(create_management(health, Metrics("strongroom"))) as url:
        health.drain()
        assert (await get(f"{url}/health/liveness"))[0] == 200
        for path in ("/health", "/health/readiness"):
            status, _, body = await get(url + path)
            assert (status, body["status"]) == (503, "OUT_OF_SERVICE")


async def test_a_part_says_when_it_last_worked_and_when_it_failed() -> None:
    health = Health()
    part = ComponentHealth(status=Status.DEGRADED, last_success_ms=1_000, last_failure_ms=62_345)
    health.watch("sync", lambda: part)
    async with serving(create_management(health, Metrics("strongroom"))) as url:
        _, _, body = await get(f"{url}/health")
    assert body["components"]["sync"]["details"] == {
        "lastSuccess": "1970-01-01T00:00:01.000Z",
        "lastFailure": "1970-01-01T00:01:02.345Z",
    }


async def test_metrics_are_scraped_listed_and_read_one_by_one() -> None:
    metrics = Metrics("strongroom")
    metrics.signatures.labels("atto", "SEND").inc(3)
    metrics.http_requests.labels("atto", "GET", "/wallets", "200", "SUCCESS").observe(0.25)
    async with serving(create_management(Health(), metrics)) as url:
        status, content_type, text = await get(f"{url}/prometheus")
        assert status == 200
        assert content_type.startswith("text/plain")
        assert 'strongroom_signatures_total{kind="SEND",ledger="atto"} 3.0' in text
        _, _, names = await get(f"{url}/metrics")
        assert {"strongroom_signatures", "http_server_requests_seconds"} <= set(names["names"])
        assert names["names"] == sorted(names["names"])
        assert (await get(f"{url}/metrics/strongroom_signatures"))[2] == {
            "name": "strongroom_signatures",
            "description": "Signatures made.",
            "measurements": [{"statistic": "TOTAL", "value": 3.0}],
        }
        assert (await get(f"{url}/metrics/http_server_requests_seconds"))[2] == {
            "name": "http_server_requests_seconds",
            "description": "Duration of HTTP requests.",
            "measurements": [{"statistic": "COUNT", "value": 1.0}, {"statistic": "SUM", "value": 0.25}],
        }
        assert (await get(f"{url}/metrics/nothing"))[0] == 404
