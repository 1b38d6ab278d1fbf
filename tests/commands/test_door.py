"""The door of every surface as `strongroom serve` opens it, with the operator's variables."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.atto_processes import NetworkProgram, ServiceProgram, running_network

pytestmark = pytest.mark.anyio

PAGE = {"Origin": "https://shop.example", "Sec-Fetch-Site": "cross-site"}


@pytest.fixture(scope="module")
async def network(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NetworkProgram]:
    async with running_network(tmp_path_factory.mktemp("network")) as network:
        yield network


async def test_every_surface_without_tokens_has_it(network: NetworkProgram, tmp_path: Path) -> None:
    async with ServiceProgram(network.variables | {"STRONGROOM_DATA": str(tmp_path)}) as service:
        for client, path in (
            (service.api, "/wallets"),
            (service.api, "/"),
            (service.api, "/v3/api-docs"),
            (service.api, "/nowhere"),
            (service.management, "/health"),
            (service.management, "/prometheus"),
            (service.management, "/metrics"),
        ):
            for headers, code in (
                ({"Host": "rebound.example"}, "host_not_allowed"),
                (PAGE, "origin_not_allowed"),
                ({"Sec-Fetch-Site": "cross-site"}, "cross_site"),
            ):
                answer = await client.get(path, headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (403, code), path
        assert (await service.management.get("/health")).status_code == 200
        assert (await service.api.post("/wallets/one", headers=PAGE)).status_code == 403
        assert (await service.api.get("/wallets")).json() == []


async def test_the_operators_variables_reach_every_door(network: NetworkProgram, tmp_path: Path) -> None:
    variables = {
        "STRONGROOM_DATA": str(tmp_path),
        "STRONGROOM_ALLOWED_HOSTS": "wallet.example",
        "STRONGROOM_ALLOWED_ORIGINS": "https://shop.example",
    }
    async with ServiceProgram(network.variables | variables) as service:
        for client, path in ((service.api, "/wallets"), (service.management, "/health")):
            assert (await client.get(path, headers={"Host": "wallet.example"})).status_code == 200
            assert (await client.get(path, headers={"Host": "rebound.example"})).status_code == 403
            answer = await client.get(path, headers=PAGE)
            assert answer.headers["access-control-allow-origin"] == "https://shop.example"


async def test_in_a_cluster_it_is_called_by_its_services_name(
    network: NetworkProgram, tmp_path: Path
) -> None:
    variables = {
        "STRONGROOM_DATA": str(tmp_path),
        "STRONGROOM_HOST": "0.0.0.0",  # noqa: S104 - as in the image
        "STRONGROOM_ALLOW_UNAUTHENTICATED": "atto,management",
    }
    async with ServiceProgram(network.variables | variables) as service:
        named = {"Host": "wallet-server.wallets.svc.cluster.local:8080"}
        assert (await service.api.post("/wallets/one", headers=named)).status_code == 200
        assert (await service.management.get("/health", headers={"Host": "10.1.2.3:8081"})).status_code == 200
        assert (await service.api.post("/wallets/two", headers=PAGE | named)).status_code == 403
