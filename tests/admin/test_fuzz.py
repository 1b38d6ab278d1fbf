"""Whatever the OpenAPI document allows, and much that it does not, is answered as it says, and never with 5xx."""

import json
from pathlib import Path

import pytest

from support.admin_office import Office
from support.fuzzing import fuzz
from support.trail import verify

pytestmark = pytest.mark.anyio


async def ask_anything(office: Office, folder: Path, *, seconds: int) -> None:
    token = await office.token("admin", on=("atto", "hathor"), name="fuzzer")
    # Names of paths alone: a value that is put into a wrong body can make it right.
    known = {"ledger": ["atto", "hathor", "doge"], "payment": ["00" * 32]}
    await fuzz(
        str(office.client.base_url.join("/admin/v1/openapi.json")),
        folder,
        seconds=seconds,
        known=known,
        headers={"Authorization": f"Bearer {token}"},
        but="/seal$",  # everything would be refused after it
    )


async def assert_unharmed(office: Office) -> None:
    token = await office.token("admin")
    response = await office.ask(token, "POST", "/ledgers/atto/rules/test", {"kind": "SEND"})
    assert response.status_code == 200, response.text
    for ledger in office.ledgers.values():
        assert await verify(ledger.database, ledger.trail_key) >= 0
    metrics = office.ledgers["atto"].surroundings.metrics  # type: ignore[attr-defined]
    defects = metrics.registry.get_sample_value(
        "strongroom_refusals_total", {"ledger": "admin", "code": "internal"}
    )
    assert defects is None


async def test_requests_that_nobody_thought_of(office: Office, tmp_path: Path) -> None:
    await ask_anything(office, tmp_path, seconds=8)
    await assert_unharmed(office)


@pytest.mark.slow
async def test_many_requests_that_nobody_thought_of(office: Office, tmp_path: Path) -> None:
    await ask_anything(office, tmp_path, seconds=90)
    await assert_unharmed(office)


async def test_every_route_is_described(office: Office) -> None:
    """Without a token, too: the document has nothing of anybody."""
    document = (await office.client.get("/admin/v1/openapi.json")).json()
    assert document["security"] == [{"token": []}]
    described = {f"{method} {path}" for path, item in document["paths"].items() for method in item}
    assert {"get /admin/v1/payments", "post /admin/v1/ledgers/{ledger}/rules/test"} <= described
    assert "HTTPException" not in json.dumps(document)
    schemas = document["components"]["schemas"]
    assert {"code", "requestId", "approvalId", "ledgers"} <= schemas["Problem"]["properties"].keys()
    assert {"ledger", "done", "approvalId"} <= schemas["Change"]["properties"].keys()
    page = await office.client.get("/admin/v1/docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
