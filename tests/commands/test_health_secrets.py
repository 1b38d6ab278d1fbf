"""Health asks for no token: it says what is wrong, and neither where things are nor what opens them."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.atto_service import until
from support.ports import free_port
from support.processes import strongroom

pytestmark = pytest.mark.anyio

PASSWORD = "correct-horse-battery-staple"
NODES = ("attoNode", "hathorNode", "bittensorChain", "redis")
WITHOUT = (PASSWORD, "operator", "127.0.0.1", "localhost", ":9/", "/v1a")


async def test_health_names_no_address_and_no_secret(tmp_path: Path) -> None:
    away = f"operator:{PASSWORD}@127.0.0.1:9"
    management, atto, hathor, sockets, bittensor = (free_port() for _ in range(5))
    variables = {
        "STRONGROOM_DATA": str(tmp_path),
        "MANAGEMENT_PORT": str(management),
        "ATTO_NETWORK": "local",
        "NODE_BASE_URL": f"http://{away}",
        "ATTO_PORT": str(atto),
        "HATHOR_NETWORK": "privatenet",
        "DEFAULT_SERVER": f"http://{away}/v1a/",
        "REDIS_URL": f"redis://{away}/0",
        "AUTH_SECRET": PASSWORD + PASSWORD,
        "HATHOR_PORT": str(hathor),
        "HATHOR_WS_PORT": str(sockets),
        "network": "local",
        "chain_endpoint": f"ws://{away}",
        "BITTENSOR_PORT": str(bittensor),
    }
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{management}", trust_env=False, timeout=10
    ) as client:
        with strongroom("serve", environment=variables) as process:
            process.wait_ready()

            async def health() -> dict[str, Any]:
                document: dict[str, Any] = (await client.get("/health")).json()
                return document

            def all_are_away(document: dict[str, Any]) -> bool:
                return all(document["components"][name]["status"] != "UP" for name in NODES)

            document = await until(health, all_are_away)
            assert document["status"] == "DEGRADED"
            texts = [str(document)] + [
                (await client.get(path)).text
                for path in ("/health/readiness", "/health/liveness", "/prometheus", "/metrics")
            ]
            for word in (*WITHOUT, str(tmp_path)):
                assert not any(word in text for text in texts), word
