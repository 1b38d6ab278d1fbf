"""Every surface slows down who fails again and again, says so in its own words, and records it."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select

from strongroom.atto.definition import REVISIONS as ATTO_REVISIONS
from strongroom.bittensor.definition import REVISIONS as BITTENSOR_REVISIONS
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.attempts import FREE, MAX_WAITING, Attempts
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.hathor.definition import REVISIONS as HATHOR_REVISIONS
from support.admin_office import running_office
from support.atto_network import AttoNetwork
from support.atto_service import SQLITE_NAME, database_variables, running_service
from support.bittensor_service import running_bittensor
from support.clock import ManualClock
from support.hathor.api import recorded_rows, serving_api
from support.hathor.sockets import RULES, ask, house
from support.hathor.wallets import WALLET
from support.schema import Schemas

pytestmark = pytest.mark.anyio

LONG_S = 60.0
Ask = Callable[[str], Awaitable[httpx2.Response]]


def awake(attempts: Attempts, clock: ManualClock) -> None:
    """From now on they count, in this time."""
    attempts._free = FREE
    attempts._clock = clock


async def fails_until_it_is_slowed(ask: Ask, clock: ManualClock, status: int = 401) -> httpx2.Response:
    """The answer to one attempt too many, while others wait. `status`: of a failure."""
    for _ in range(FREE + 1):
        assert (await ask("Bearer guess")).status_code == status
    waiting = [asyncio.ensure_future(ask("Bearer guess")) for _ in range(MAX_WAITING)]
    await clock.sleepers(MAX_WAITING)
    refused = await ask("Bearer guess")
    clock.advance(LONG_S)
    assert Counter(each.status_code for each in await asyncio.gather(*waiting)) == {status: MAX_WAITING}
    assert (refused.status_code, int(refused.headers["retry-after"])) == (429, 4)
    return refused


async def bursts(database: Database) -> list[str]:
    rows = await database.fetch_all(select(tables.audit.c.action))
    return [row.action for row in rows if row.action == "authentication.failures"]


async def is_recorded(database: Database) -> None:
    async with asyncio.timeout(LONG_S):
        while not await bursts(database):  # noqa: ASYNC110 - written beside the request
            await asyncio.sleep(0.01)
    assert len(await bursts(database)) == 1


def asking(client: httpx2.AsyncClient, path: str) -> Ask:
    return lambda authorization: client.get(path, headers={"Authorization": authorization})


async def test_atto(network: AttoNetwork, schemas: Schemas, tmp_path: Path, clock: ManualClock) -> None:
    url = schemas.fill(sqlite_url(str(tmp_path / SQLITE_NAME)), [ATTO_REVISIONS])
    async with running_service(network, database_variables(url, tmp_path)) as service:
        awake(service.ledger.attempts, clock)
        token = await service.ledger.tokens.create(OPERATOR, "owner", ["atto:read"])
        holder = asking(service.client, "/wallets")
        assert (await holder(f"Bearer {token.secret}")).status_code == 200
        refused = await fails_until_it_is_slowed(holder, clock)
        assert refused.json()["code"] == "rate_limited"
        assert (await holder(f"Bearer {token.secret}")).status_code == 200
        assert (await service.client.get("/wallets")).status_code == 200
        await is_recorded(service.ledger.database)


async def test_bittensor(schemas: Schemas, tmp_path: Path, clock: ManualClock) -> None:
    schemas.fill(sqlite_url(str(tmp_path / "bittensor.sqlite3")), [BITTENSOR_REVISIONS])
    async with running_bittensor({"STRONGROOM_DATA": str(tmp_path)}) as service:
        awake(service.ledger.attempts, clock)
        holder = asking(service.client, "/wallet/info?wallet_name=x")
        assert (await holder("Bearer default-token")).status_code == 404
        refused = await fails_until_it_is_slowed(holder, clock)
        assert refused.json()["code"] == "rate_limited"
        assert (await holder("Bearer default-token")).status_code == 404
        await is_recorded(service.ledger.database)


async def test_hathor(schemas: Schemas, tmp_path: Path, clock: ManualClock) -> None:
    database = Database(schemas.fill(sqlite_url(str(tmp_path / "hathor.sqlite3")), [HATHOR_REVISIONS]))
    async with serving_api(database, clock, rows=recorded_rows(), legacy_needs_token=True) as api:
        awake(api.attempts, clock)
        holder, own = asking(api.client, "/wallet/status"), api.full()["Authorization"]
        assert (await holder(own)).status_code == 200
        refused = await fails_until_it_is_slowed(holder, clock)
        assert refused.json()["error"] == "too-many-requests"
        assert (await holder(own)).status_code == 200
    await database.close()


async def test_hathor_s_ended_tokens_slow_nobody_down(
    schemas: Schemas, tmp_path: Path, clock: ManualClock
) -> None:
    database = Database(schemas.fill(sqlite_url(str(tmp_path / "hathor.sqlite3")), [HATHOR_REVISIONS]))
    async with serving_api(database, clock, rows=recorded_rows(), legacy_needs_token=True) as api:
        awake(api.attempts, clock)
        ended = [api.full()["Authorization"] for _ in range(3 * FREE)]
        clock.advance(10_000)
        holder = asking(api.client, "/wallet/status")
        for each in ended:
            assert (await holder(each)).status_code == 401
        assert (await holder(api.full()["Authorization"])).status_code == 200
        first_api = asking(api.client, f"/wallet/?id={'0' * 64}")
        refused = await fails_until_it_is_slowed(first_api, clock)
        assert refused.json()["error"] == "too-many-requests"
    await database.close()


async def test_hathor_s_websocket(schemas: Schemas, tmp_path: Path, clock: ManualClock) -> None:
    database = Database(schemas.fill(sqlite_url(str(tmp_path / "hathor.sqlite3")), [HATHOR_REVISIONS]))
    rules = RULES.__class__(require_token=True, max_connections=100, max_subscriptions=3)
    async with house(database, rules=rules) as sockets, sockets.client() as client:
        awake(sockets.attempts, clock)
        guess = json.dumps({"action": "join", "id": WALLET, "token": "guess"})
        for _ in range(FREE + 1):
            assert (await ask(client, guess))["message"] == "Unauthorized"
        await client.send(guess)
        await clock.sleepers(1)
        clock.advance(LONG_S)
        assert json.loads(await client.recv())["message"] == "Unauthorized"
    await database.close()


async def test_the_admin_api(tmp_path: Path, clock: ManualClock) -> None:
    async with running_office(tmp_path, clock) as office:
        awake(office.attempts, clock)
        refused = await fails_until_it_is_slowed(asking(office.client, "/admin/v1/me"), clock)
        assert refused.json()["code"] == "rate_limited"
        for ledger in office.ledgers.values():
            await is_recorded(ledger.database)


async def test_the_admin_api_where_a_database_is_away(tmp_path: Path, clock: ManualClock) -> None:
    """A token of the ledger that is away is told so, and guesses at it are as slow as ever."""
    async with running_office(tmp_path, clock, unprepared=["hathor"]) as office:
        awake(office.attempts, clock)
        refused = await fails_until_it_is_slowed(asking(office.client, "/admin/v1/me"), clock, 503)
        assert refused.json()["code"] == "rate_limited"
        await is_recorded(office.ledgers["atto"].database)
