"""`strongroom atto` against a running service."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.atto_network import AttoNetwork
from support.atto_service import AttoService, running_service
from support.processes import strongroom

pytestmark = pytest.mark.anyio


@pytest.fixture
async def service(network: AttoNetwork, tmp_path: Path) -> AsyncIterator[AttoService]:
    variables = {"STRONGROOM_DATA": str(tmp_path), "ATTO_REQUIRE_TOKEN": "true"}
    async with running_service(network, variables) as service:
        yield service


async def test_scans_tell_their_result(service: AttoService) -> None:
    url = str(service.client.base_url)
    token = await service.ledger.tokens.create("operator", ["atto:*"])
    service.client.headers["Authorization"] = f"Bearer {token.secret}"
    wallet = await service.create_wallet()

    def run(*arguments: str) -> tuple[int, list[str], str]:
        environment = {"STRONGROOM_ATTO_TOKEN": token.secret, "STRONGROOM_ATTO_URL": url}
        with strongroom("atto", *arguments, environment=environment) as process:
            status = process.wait_end()
            return status, process.stdout, " ".join(process.stderr)

    recovered, known, unknown = await asyncio.gather(
        asyncio.to_thread(run, "recover", wallet.name, "--gap-limit", "2"),
        asyncio.to_thread(run, "range", wallet.name, "4"),
        asyncio.to_thread(run, "range", "nowhere", "4"),
    )
    assert recovered[0] == 0
    assert recovered[1][0].startswith("scanned 2 indexes from ")
    assert known[:2] == (0, ["5 accounts"])
    assert unknown[:2] == (1, [])
    assert "Wallet nowhere does not exist" in unknown[2]
