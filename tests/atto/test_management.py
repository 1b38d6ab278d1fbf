"""What the management surface says of a working Atto ledger."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

import httpx2
import pytest

from strongroom.core.http.management import create_management
from strongroom_sandbox.atto.faults.faults import FaultRequest
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, entry, running_service, until
from support.serving import serving

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _soon_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that has nothing to say counts as up after a moment."""
    monkeypatch.setattr("strongroom.atto.following.streams.OPEN_AFTER_S", 0.2)


@pytest.fixture
async def service(network: AttoNetwork, tmp_path: Path) -> AsyncIterator[AttoService]:
    async with running_service(network, {"STRONGROOM_DATA": str(tmp_path)}) as service:
        yield service


@pytest.fixture
async def management(service: AttoService) -> AsyncIterator[httpx2.AsyncClient]:
    application = create_management(service.health, service.metrics)
    async with (
        serving(application) as url,
        httpx2.AsyncClient(base_url=url, verify=False, trust_env=False) as client,
    ):
        yield client


async def test_health_names_every_part(
    service: AttoService, network: AttoNetwork, management: httpx2.AsyncClient
) -> None:
    address = await service.open_account(network, 100)
    entry(await service.send(address, NOBODY, 1))

    async def health() -> httpx2.Response:
        return await management.get("/health")

    answer = await until(health, lambda response: response.json()["status"] == "UP")
    assert answer.status_code == 200
    components = answer.json()["components"]
    assert {name: part["status"] for name, part in components.items()} == dict.fromkeys(
        (
            "attoAccounts",
            "attoApprovals",
            "attoCallbacks",
            "attoCheckpoints",
            "attoDatabase",
            "attoHistory",
            "attoInstance",
            "attoKeys",
            "attoLeases",
            "attoMetrics",
            "attoNetwork",
            "attoNode",
            "attoNodeClock",
            "attoPendingBlocks",
            "attoPurge",
            "attoTokens",
            "attoReceivables",
            "attoReceiver",
            "attoRows",
            "attoStates",
            "attoWebhooks",
            "attoWork",
            "livenessState",
            "readinessState",
        ),
        "UP",
    )


async def test_health_says_what_is_away(network: AttoNetwork, management: httpx2.AsyncClient) -> None:
    network.faults.set(FaultRequest(status=HTTPStatus.INTERNAL_SERVER_ERROR, count=1_000_000))
    network.cut_streams()
    components = (
        await until(
            lambda: management.get("/health"), lambda response: response.json()["status"] == "DEGRADED"
        )
    ).json()["components"]
    down = {name: part for name, part in components.items() if part["status"] != "UP"}
    assert down
    assert all(part["details"]["message"] for part in down.values())


async def test_metrics_tell_of_the_work(
    service: AttoService, network: AttoNetwork, management: httpx2.AsyncClient
) -> None:
    address = await service.open_account(network, 100)
    entry(await service.send(address, NOBODY, 1))
    assert (await service.send(address, NOBODY, 0)).status_code == 400
    lines = (await management.get("/prometheus")).text.splitlines()
    for line in (
        'strongroom_signatures_total{kind="SEND",ledger="atto"} 1.0',
        'strongroom_atto_received_total{result="received"} 1.0',
        'strongroom_refusals_total{code="invalid_amount",ledger="atto"} 1.0',
        (
            'http_server_requests_seconds_count{ledger="atto",method="POST",outcome="SUCCESS",status="200",'
            'uri="/wallets/accounts/{address}/transactions/SEND"} 1.0'
        ),
        "strongroom_atto_pending_blocks 0.0",
        'strongroom_payment_seconds_count{ledger="atto",outcome="accepted"} 2.0',
    ):
        assert line in lines, [one for one in lines if one.startswith(line.partition("{")[0])]
    assert address not in "\n".join(lines)  # nobody's account is a label
