"""The OpenAPI document says everything of every route, and the page needs nobody else."""

import re
from collections import Counter
from typing import Any

import pytest

from strongroom.core.storage.database import Database
from strongroom.hathor.api.terms import Access
from support.clock import ManualClock
from support.hathor.api import Api, recorded_rows, serving_api

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


async def test_who_may_call_a_route_is_as_it_says(database: Database, clock: ManualClock) -> None:
    """Of every route that wants a token: none is 401, a read-only one opens those alone that do not want a full one."""
    tried: Counter[str] = Counter()
    async with serving_api(database, clock, rows=recorded_rows()) as api:
        paths = (await api.client.get("/api-docs")).json()["paths"]
        for path, operations in paths.items():
            asked = re.sub(r"\{\w+\}", "a" * 64, path)
            for method, operation in operations.items():
                if {"token": []} not in operation["security"]:
                    continue
                needs_full = operation["description"] == f"Access: {Access.FULL.value}."
                tried["full" if needs_full else "any"] += 1
                answer = await api.client.request(method, asked)
                assert answer.status_code == 401, (method, path)
                answer = await api.client.request(method, asked, headers=api.read_only())
                assert (answer.status_code == 403) is needs_full, (method, path, answer.text)
    assert tried == {"full": 8, "any": 22}
