"""The key-encryption key moves between files, variables and backends while a service serves."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from strongroom.core.storage.database import sqlite_url
from support.custody.houses import House
from support.custody.openbao import OpenBao
from support.custody.services import command, serving
from support.databases import execute_elsewhere
from support.keys import KEY

pytestmark = pytest.mark.anyio

VARIABLE = "CHA_CHA20_KEY_ENCRYPTION_KEY"
PAIRS = [("vault", "kms"), ("kms", "pkcs11"), ("pkcs11", "vault")]


def versions(folder: Path) -> list[tuple[str, str]]:
    """State and backend of each version, the oldest first."""
    url = sqlite_url(str(folder / "atto.sqlite3"))
    rows = execute_elsewhere(url, "SELECT state, coalesce(backend, '') FROM strongroom_key ORDER BY version")
    return [(state, backend) for state, backend in rows]


async def run(folder: Path, variables: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    return await asyncio.to_thread(command, folder, variables, *arguments)


def remove(path: Path) -> None:
    path.unlink()


async def test_from_the_installation_s_own_file_to_a_backend(house: House, tmp_path: Path) -> None:
    async with serving(tmp_path, {}) as service:
        await service.ready()
        await service.make_wallet("Treasury")
        assert await asyncio.to_thread(service.process.terminate) == 0
    variables = house.environment("atto")
    async with serving(tmp_path, variables) as service:
        await service.ready()
        assert versions(tmp_path) == [("active", "")]
        status, printed = await run(tmp_path, variables, "keys", "rotate", "atto")
        assert status == 0, printed
        assert versions(tmp_path) == [("retired", ""), ("active", house.reference)]
        await service.make_account("Treasury")
        await service.make_wallet("Savings")
        assert await asyncio.to_thread(service.process.terminate) == 0
    remove(tmp_path / "atto.kek")
    async with serving(tmp_path, variables) as service:
        await service.ready()
        await service.make_account("Treasury")
        await service.make_account("Savings")
        assert (await service.component("attoKeys"))["status"] == "UP"


@pytest.mark.parametrize(("old", "new"), PAIRS)
async def test_from_one_backend_to_another(
    request: pytest.FixtureRequest, old: str, new: str, tmp_path: Path
) -> None:
    leaving: House = request.getfixturevalue(f"{old}_house")
    taking: House = request.getfixturevalue(f"{new}_house")
    both = {
        **taking.environment("atto"),
        **leaving.environment("atto"),
        "ATTO_KEY_BACKEND_NEXT": taking.reference,
    }
    folder = tmp_path / "data"
    async with serving(folder, leaving.environment("atto")) as service:
        await service.ready()
        await service.make_wallet("Treasury")
        assert await asyncio.to_thread(service.process.terminate) == 0
    async with serving(folder, both) as service:
        await service.ready()
        status, printed = await run(folder, both, "keys", "rotate", "atto")
        assert status == 0, printed
        await service.make_account("Treasury")
        assert await asyncio.to_thread(service.process.terminate) == 0
    assert versions(folder) == [("retired", leaving.reference), ("active", taking.reference)]
    leaving.leave()
    try:
        async with serving(folder, taking.environment("atto")) as service:
            await service.ready()
            await service.make_account("Treasury")
    finally:
        leaving.come_back()


async def test_from_a_backend_to_a_variable(vault_house: House, tmp_path: Path) -> None:
    async with serving(tmp_path, vault_house.environment("atto")) as service:
        await service.ready()
        await service.make_wallet("Treasury")
        assert await asyncio.to_thread(service.process.terminate) == 0
    both = vault_house.environment("atto", **{VARIABLE: KEY})
    async with serving(tmp_path, both) as service:
        await service.ready()
        status, printed = await run(tmp_path, both, "keys", "rotate", "atto")
        assert status == 0, printed
        assert await asyncio.to_thread(service.process.terminate) == 0
    assert versions(tmp_path) == [("retired", vault_house.reference), ("active", "")]
    async with serving(tmp_path, {VARIABLE: KEY}) as service:
        await service.ready()
        await service.make_account("Treasury")


async def test_while_the_backend_is_away_nothing_is_changed(house: House, tmp_path: Path) -> None:
    variables = house.environment("atto")
    async with serving(tmp_path, variables) as service:
        await service.ready()
        await service.make_wallet("Treasury")
        house.leave()
        try:
            status, printed = await run(tmp_path, variables, "keys", "rotate", "atto")
        finally:
            house.come_back()
        assert status == 1
        assert house.reference in printed
        assert "Traceback" not in printed
        assert versions(tmp_path) == [("active", house.reference)]
        await service.make_account("Treasury")


async def test_a_backend_that_was_taken_out_is_named(house: House, tmp_path: Path) -> None:
    async with serving(tmp_path, house.environment("atto")) as service:
        await service.ready()
        await service.make_wallet("Treasury")
        assert await asyncio.to_thread(service.process.terminate) == 0
    async with serving(tmp_path, {}) as service:
        assert await asyncio.to_thread(service.process.wait_end) == 1
    assert f"wrapped by {house.reference}: set ATTO_KEY_BACKEND" in service.process.logs()
    assert versions(tmp_path) == [("active", house.reference)]


async def test_an_old_version_of_the_transit_key_can_go_after_rewrapping(
    vault_house: House, openbao: OpenBao, tmp_path: Path
) -> None:
    reference = vault_house.other_key()
    name = reference.rpartition("/")[2]
    variables = vault_house.environment("atto", ATTO_KEY_BACKEND=reference)
    async with serving(tmp_path, variables) as service:
        await service.ready()
        await service.make_wallet("Treasury")
        openbao.call("POST", f"transit/keys/{name}/rotate", {})
        status, printed = await run(tmp_path, variables, "keys", "rewrap", "atto")
        assert (status, f"version 1 is wrapped anew by {reference}" in printed) == (0, True), printed
        await service.make_account("Treasury")
        assert await asyncio.to_thread(service.process.terminate) == 0
    openbao.call("POST", f"transit/keys/{name}/config", {"min_decryption_version": 2})
    async with serving(tmp_path, variables) as service:
        await service.ready()
        await service.make_account("Treasury")
    status, printed = await run(tmp_path, {}, "keys", "rewrap", "atto")
    assert status == 1
    assert f"wrapped by {reference}: set ATTO_KEY_BACKEND" in printed


async def test_what_no_backend_wrapped_is_not_rewrapped(vault_house: House, tmp_path: Path) -> None:
    async with serving(tmp_path, {}) as service:
        await service.ready()
    status, printed = await run(tmp_path, vault_house.environment("atto"), "keys", "rewrap", "atto")
    assert status == 1
    assert "No version of the key is wrapped" in printed
