"""A document is made when somebody asks for it, and once."""

from typing import Any

from litestar import Litestar, get
from litestar.openapi import OpenAPIConfig
from litestar.testing import TestClient

from strongroom.core.http.openapi import LazyDocument


def test_a_document_is_made_when_it_is_asked_for() -> None:
    made = 0

    def complete(application: Litestar) -> dict[str, Any]:
        nonlocal made
        made += 1
        return {"paths": list(application.openapi_schema.paths or {}), "made": made}

    @get("/things", sync_to_thread=False)
    def things() -> list[str]:
        return []

    config = OpenAPIConfig(title="t", version="1", path="/document", render_plugins=[LazyDocument(complete)])
    application = Litestar([things], openapi_config=config)
    assert made == 0
    with TestClient(application) as client:
        first, second = client.get("/document"), client.get("/document")
    assert first.json() == second.json() == {"paths": ["/things"], "made": 1}
    assert first.headers["content-type"] == "application/json"
