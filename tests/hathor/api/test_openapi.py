"""The OpenAPI document says everything of every route, and the page needs nobody else."""

import re
from typing import Any

import pytest

from strongroom.core.storage.database import Database
from support.clock import ManualClock
from support.hathor.api import Api, serving_api

pytestmark = pytest.mark.anyio

ITSELF = re.compile(r"/(api-docs.*|swagger-ui.*)?$")


def _served(api: Api) -> set[tuple[str, str]]:
    """Method and path of every route but the document's own."""
    routes = api.application._application._application._application.routes
    return {
        (method, re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path))
        for route in routes
        for method in route.methods - {"OPTIONS", "HEAD"}
        if not ITSELF.match(route.path)
    }


async def test_every_route_is_described(database: Database, clock: ManualClock) -> None:
    async with serving_api(database, clock) as api:
        document: dict[str, Any] = (await api.client.get("/api-docs")).json()
        described = {
            (method.upper(), path): operation
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
        }
        assert described.keys() == _served(api)
        for (_method, path), operation in described.items():
            given = {
                parameter["name"] for parameter in operation["parameters"] if parameter.get("in") == "path"
            }
            assert given == set(re.findall(r"\{(\w+)\}", path))
            assert {"503"} < operation["responses"].keys()
        assert document["components"]["schemas"].keys() >= {"HistoryAnswer", "OutputEntry", "Failure"}


async def test_the_page_shows_it(database: Database, clock: ManualClock) -> None:
    async with serving_api(database, clock) as api:
        for prefix in ("", "/dev"):
            page = await api.client.get(f"{prefix}/")
            assert page.headers["content-type"].startswith("text/html")
            assert "default-src 'self'" in page.headers["content-security-policy"]
            for path in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
                assert (await api.client.get(path)).status_code == 200
        assert "/api-docs" in (await api.client.get("/swagger-ui-start.js")).text
