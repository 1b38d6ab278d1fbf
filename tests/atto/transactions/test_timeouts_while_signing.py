"""A request whose time ends while its unit of work is under way does not say that nothing was signed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest
from sqlalchemy import Connection

from atto.conftest import Start
from strongroom.core.storage.database import ANSWER_S
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, entry

pytestmark = pytest.mark.anyio

T = TypeVar("T")


@pytest.fixture
async def service(start: Start) -> AsyncIterator[AttoService]:
    async with start(ATTO_REQUEST_TIMEOUT_S="1") as service:
        yield service


@asynccontextmanager
async def silent_database(
    service: AttoService, monkeypatch: pytest.MonkeyPatch, *, commits: bool
) -> AsyncIterator[None]:
    """The database is silent when a send is signed; `commits`: it did what it was asked for."""
    database = service.ledger.database
    write = database.write

    async def held(work: Callable[[Connection], T], *, answer_s: float | None = ANSWER_S) -> T:
        if "Signing.sign" not in work.__qualname__:
            return await write(work, answer_s=answer_s)
        if commits:
            await write(work, answer_s=answer_s)
        return await asyncio.Future()

    monkeypatch.setattr(database, "write", held)
    yield
    monkeypatch.undo()


@pytest.mark.parametrize("commits", [True, False])
async def test_what_may_have_been_signed_is_unknown(
    service: AttoService, network: AttoNetwork, monkeypatch: pytest.MonkeyPatch, commits: bool
) -> None:
    address = await service.open_account(network, 100)
    entry(await service.send(address, NOBODY, 1))
    async with silent_database(service, monkeypatch, commits=commits):
        response = await service.send(address, NOBODY, 1, key="once")
        assert response.status_code == 504, response.text
        assert response.json()["code"] == "outcome_unknown"
        assert "safe to try again" not in response.text
    again = entry(await service.send(address, NOBODY, 1, key="once"))
    assert again["balance"] == 98
