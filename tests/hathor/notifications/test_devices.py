"""Devices of wallets: who may register, change and remove which."""

import asyncio
from typing import Any

import pytest

from strongroom.core.storage.database import Database
from support.another_process import Elsewhere, another_process, until_waiting
from support.clock import ManualClock
from support.hathor.api import recorded_rows, serving_api
from support.sql import execute

pytestmark = pytest.mark.anyio

OK = (200, {"success": True})


async def rows(database: Database) -> list[tuple[Any, ...]]:
    sql = (
        "SELECT device_id, wallet_id, push_provider, enable_push, enable_show_amounts FROM push_devices"
        " ORDER BY device_id"
    )
    return [tuple(row) for row in await database.read(lambda connection: execute(connection, sql))]


async def test_a_device_comes_changes_and_goes(database: Database, clock: ManualClock) -> None:
    tables = recorded_rows()
    other = {**tables["wallet"][0], "id": "1" * 64}
    wallet_id = tables["wallet"][0]["id"]
    tables["wallet"].append(other)
    async with serving_api(database, clock, rows=tables) as api:

        async def ask(method: str, path: str, **body: object) -> tuple[int, Any]:
            answer = await api.client.request(
                method, f"/wallet/push/{path}", headers=api.full(), json=body or None
            )
            return answer.status_code, answer.json()

        device = "fZ:APA91_b-1"
        assert await ask("POST", "register", pushProvider="ios", deviceId=device, enablePush="true") == OK
        assert await rows(database) == [(device, wallet_id, "ios", 1, 0)]
        assert await ask("PUT", "update", deviceId=device, enableShowAmounts=True) == OK
        assert await rows(database) == [(device, wallet_id, "ios", 0, 1)]
        assert await ask("POST", "register", pushProvider="android", deviceId=device) == OK
        assert await rows(database) == [(device, wallet_id, "android", 0, 0)]
        unknown = (404, {"success": False, "error": "device-not-found"})
        assert await ask("PUT", "update", deviceId="another") == unknown
        sql = "UPDATE push_devices SET wallet_id = {}"
        await database.write(lambda connection: execute(connection, sql, other["id"]))
        assert await ask("PUT", "update", deviceId=device) == unknown
        assert await ask("DELETE", f"unregister/{device}") == OK
        assert len(await rows(database)) == 1  # it is the other wallet's
        assert await ask("POST", "register", pushProvider="android", deviceId=device) == OK
        assert await rows(database) == [(device, wallet_id, "android", 0, 0)]
        for _ in range(2):
            assert await ask("DELETE", f"unregister/{device}") == OK
        assert await rows(database) == []


async def test_what_is_refused(database: Database, clock: ManualClock) -> None:
    async with serving_api(database, clock, rows=recorded_rows()) as api:
        body = {"pushProvider": "android", "deviceId": "d" * 257}
        answer = await api.client.post("/wallet/push/register", headers=api.full(), json=body)
        message = '"deviceId" length must be less than or equal to 256 characters long'
        expected = {
            "success": False,
            "error": "invalid-payload",
            "details": [{"message": message, "path": ["deviceId"]}],
        }
        assert (answer.status_code, answer.json()) == (400, expected)
        path = "/wallet/push/unregister/" + "d" * 257
        answer = await api.client.delete(path, headers=api.full())
        assert (answer.status_code, answer.json()) == (400, expected)
        for method, path in (("POST", "register"), ("PUT", "update"), ("DELETE", "unregister/d1")):
            answer = await api.client.request(
                method, f"/wallet/push/{path}", headers=api.read_only(), json=body
            )
            assert answer.status_code == 403


async def test_tokens_of_an_earlier_key_and_of_a_wallet_that_is_gone(
    database: Database, clock: ManualClock
) -> None:
    body = {"pushProvider": "android", "deviceId": "d1"}
    requests = (
        ("POST", "register", body),
        ("PUT", "update", {"deviceId": "d1"}),
        ("DELETE", "unregister/d1", None),
    )
    async with serving_api(database, clock, rows=recorded_rows()) as api:

        async def ask() -> list[tuple[int, Any]]:
            answers = [
                await api.client.request(method, f"/wallet/push/{path}", headers=api.full(), json=content)
                for method, path, content in requests
            ]
            return [(answer.status_code, answer.json()) for answer in answers]

        assert await ask() == [OK] * 3
        await api.client.post("/wallet/push/register", headers=api.full(), json=body)
        await database.write(lambda c: execute(c, "UPDATE wallet SET auth_xpubkey = xpubkey"))
        assert await ask() == [(401, {"message": "Unauthorized"})] * 3
        assert len(await rows(database)) == 1
        await database.write(lambda c: execute(c, "DELETE FROM wallet"))
        assert await ask() == [
            (404, {"success": False, "error": "wallet-not-found"}),
            (404, {"success": False, "error": "device-not-found"}),
            OK,
        ]


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
@pytest.mark.parametrize(
    ("meanwhile", "answer"),
    [
        ("DELETE FROM wallet", (404, {"success": False, "error": "wallet-not-found"})),
        (
            "INSERT INTO push_devices (device_id, push_provider, wallet_id) VALUES ('phone', 'ios', '{wallet}')",
            OK,
        ),
    ],
)
async def test_a_registration_waits_for_what_another_process_does(
    database: Database, clock: ManualClock, elsewhere: Elsewhere, meanwhile: str, answer: tuple[int, Any]
) -> None:
    """Two registrations of one device both hold; none is left behind by a wallet that goes."""
    tables = recorded_rows()
    async with serving_api(database, clock, rows=tables) as api:
        async with another_process(database) as other:
            await other.execute(meanwhile.format(wallet=tables["wallet"][0]["id"]))
            body = {"pushProvider": "android", "deviceId": "phone"}
            asked = asyncio.ensure_future(
                api.client.post("/wallet/push/register", headers=api.full(), json=body)
            )
            await until_waiting(elsewhere, 1)
            await other.execute("COMMIT")
        answered = await asked
        assert (answered.status_code, answered.json()) == answer
        found = [row[0] for row in await rows(database)]
        assert found == (["phone"] if answer == OK else [])
