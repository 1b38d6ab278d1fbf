"""The OpenAPI document, and the page that shows it in a browser."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atto.conftest import Start
from support.atto_network import AttoNetwork
from support.atto_service import AttoService, running_service
from support.browser import browse, requests_of

pytestmark = pytest.mark.anyio

ROUTES = {
    "/wallets": {"get"},
    "/wallets/{name}": {"get", "post", "put"},
    "/wallets/{name}/locks/LOCKED": {"put"},
    "/wallets/{name}/locks/UNLOCKED": {"put"},
    "/wallets/{name}/encryptionKey": {"put"},
    "/wallets/{name}/exports": {"post"},
    "/wallets/{walletName}/accounts": {"get", "post"},
    "/wallets/{walletName}/accounts/ranges/{toIndex}": {"post"},
    "/wallets/{walletName}/recoveries": {"post"},
    "/wallets/accounts/{address}": {"get"},
    "/wallets/accounts/{address}/details": {"get"},
    "/wallets/accounts/{address}/states/DISABLED": {"post"},
    "/wallets/accounts/{address}/states/ENABLED": {"post"},
    "/wallets/accounts/{address}/transactions/SEND": {"post"},
    "/wallets/accounts/{address}/transactions/CHANGE": {"post"},
    "/wallets/accounts/entries": {"post"},
}
"""What the original documents."""
ADDED = {
    "/wallets/accounts/transactions/{transactionHash}": {"get"},
    "/wallets/accounts/transactions/approvals/{approvalId}": {"get"},
    "/wallets/accounts/{address}/entries": {"get"},
    "/wallets/accounts/{address}/receivables": {"get"},
    "/wallets/accounts/{address}/label": {"put"},
    "/wallets/{walletName}/entries": {"get"},
    "/wallets/{walletName}/receivables": {"get"},
    "/wallets/{walletName}/totals": {"get"},
    "/wallets/{walletName}/labels": {"get"},
    "/wallets/{walletName}/progress": {"get"},
}
BODIES = {
    ("/wallets/{name}", "put"): "WalletImportRequest",
    ("/wallets/{name}/locks/UNLOCKED", "put"): "WalletUnlockRequest",
    ("/wallets/{name}/encryptionKey", "put"): "WalletKeyRequest",
    ("/wallets/{walletName}/recoveries", "post"): "AccountRecoveryRequest",
    ("/wallets/accounts/{address}/transactions/SEND", "post"): "SendRequest",
    ("/wallets/accounts/{address}/transactions/CHANGE", "post"): "ChangeRequest",
    ("/wallets/accounts/{address}/label", "put"): "LabelRequest",
}


@pytest.fixture
async def service(network: AttoNetwork, tmp_path: Path) -> AsyncIterator[AttoService]:
    async with running_service(network, {"STRONGROOM_DATA": str(tmp_path)}) as service:
        yield service


@pytest.fixture
async def document(service: AttoService) -> dict[str, Any]:
    described: dict[str, Any] = await service.get("/v3/api-docs")
    return described


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (path, method): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


async def test_every_route_is_described_under_its_published_names(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["info"]["title"] == "Atto Wallet Server API"
    assert [tag["name"] for tag in document["tags"]] == ["Wallets", "Accounts"]
    assert {path: set(methods) for path, methods in document["paths"].items()} == ROUTES | ADDED
    for (path, _), operation in operations(document).items():
        named = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
        assert named == {part.strip("{}") for part in path.split("/") if part.startswith("{")}
        assert operation["summary"]


async def test_request_bodies_are_described(document: dict[str, Any]) -> None:
    described = {key: one["requestBody"] for key, one in operations(document).items() if "requestBody" in one}
    search = described.pop(("/wallets/accounts/entries", "post"))
    assert search["required"] is False
    assert {
        key: body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for key, body in described.items()
    } == BODIES
    assert all(body["required"] for body in described.values())


async def test_amounts_are_described_as_numbers_or_decimal_strings(document: dict[str, Any]) -> None:
    forms = [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+$"}]
    fields = document["components"]["schemas"]["SendRequest"]["properties"]
    assert fields["amount"]["oneOf"] == forms
    assert fields["lastHeight"]["oneOf"] == [*forms, {"type": "null"}]


async def test_every_error_is_described_in_the_form_that_is_sent(document: dict[str, Any]) -> None:
    described = document["components"]["schemas"]["ErrorBody"]["properties"]
    assert set(described) == {
        "timestamp",
        "path",
        "status",
        "error",
        "requestId",
        "message",
        "code",
        "approvalId",
    }
    for operation in operations(document).values():
        for status, response in operation["responses"].items():
            for content in (response.get("content") or {}).values() if status >= "400" else ():
                assert content["schema"] == {"$ref": "#/components/schemas/ErrorBody"}


async def test_document_is_the_same_at_every_start(start: Start, document: dict[str, Any]) -> None:
    """No random examples."""
    assert "examples" not in json.dumps(document)
    async with start() as again:
        assert await again.get("/v3/api-docs") == document


async def test_the_page_loads_nothing_from_other_hosts(service: AttoService) -> None:
    page = await service.client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'self';")
    assert page.text.count("http://") + page.text.count("https://") == 0
    for path in ("/swagger-ui/swagger-ui.css", "/swagger-ui/swagger-ui-bundle.js", "/swagger-ui-start.js"):
        assert f'"{path}"' in page.text
        assert (await service.client.get(path)).status_code == 200


async def test_browser_shows_every_operation(
    service: AttoService, document: dict[str, Any], tmp_path: Path
) -> None:
    url = str(service.client.base_url).rstrip("/")
    shown = await browse(url, tmp_path)
    assert shown.count('class="opblock-summary-control"') == len(operations(document))
    for path, _ in operations(document):
        assert f'data-path="{path}"' in shown
    assert "Failed to load" not in shown
    asked = requests_of(tmp_path / "net.json", url)
    assert f"{url}/v3/api-docs" in asked
    assert [one for one in asked if not one.startswith(f"{url}/")] == []
