"""A service whose key-encryption key is wrapped by OpenBao, AWS KMS or an HSM: first start, away, wrong, and back."""

import asyncio
import base64
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from strongroom.core.security.keys.backends.backend import MAX_WRAPPED_BYTES
from strongroom.core.storage.database import sqlite_url
from support.atto_service import until
from support.custody.houses import House
from support.custody.openbao import OpenBao
from support.custody.services import Started, doctor, serving
from support.databases import execute_elsewhere
from support.mariadb import MariaDB

pytestmark = pytest.mark.anyio


def key_files(folder: Path) -> list[Path]:
    return list(folder.glob("*.kek*"))


async def test_a_new_installation_keeps_its_key_in_the_backend(house: House, tmp_path: Path) -> None:
    variables = house.environment("atto")
    async with serving(tmp_path, variables) as service:
        await service.ready()
        await service.make_wallet("Treasury")
        await service.make_account("Treasury")
        assert (await service.component("attoKeys"))["status"] == "UP"
        assert await asyncio.to_thread(service.process.terminate) == 0
    url = sqlite_url(str(tmp_path / "atto.sqlite3"))
    ((backend, length),) = execute_elsewhere(url, "SELECT backend, length(wrapped) FROM strongroom_key")
    assert backend == house.reference
    assert 32 < int(length) <= MAX_WRAPPED_BYTES
    assert key_files(tmp_path) == []
    async with serving(tmp_path, variables) as service:
        await service.ready()
        await service.make_account("Treasury")
    _, printed = await asyncio.to_thread(doctor, tmp_path, variables)
    assert "1 unlocked wallets open" in printed


async def test_while_the_backend_is_away_a_start_waits_and_what_is_open_goes_on(
    house: House, tmp_path: Path
) -> None:
    variables = house.environment("atto")
    async with serving(tmp_path, variables) as service:
        await service.ready()
        await service.make_wallet("Treasury")
        house.leave()
        try:
            await service.make_account("Treasury")
            await service.make_wallet("Savings")
            assert await asyncio.to_thread(service.process.terminate) == 0
        except BaseException:
            house.come_back()
            raise
    try:
        started = Started(tmp_path, variables)
        with started.process:
            alive = await started.until_status(f"{started.management}/health/liveness", 200)
            assert alive.json()["status"] == "UP"
            await until(
                lambda: started.ask("GET", f"{started.atto}/wallets"),
                lambda one: one is not None and one.json().get("code") == "key_backend_unavailable",
            )
            refused = await started.until_status(f"{started.atto}/wallets", 503)
            assert refused.json()["error"] == "Service Unavailable"
            assert refused.headers["retry-after"]
            component = await until(
                lambda: started.component("attoKeyBackend"), lambda one: house.reference in str(one)
            )
            assert component["status"] == "DOWN"
            assert (await started.component("attoDatabase"))["status"] == "UP"
            await started.until_status(f"{started.management}/health/readiness", 503)
            assert started.process.running
            house.come_back()
            await started.ready()
            await started.make_account("Savings")
            assert (await started.component("attoKeyBackend"))["status"] == "UP"
    finally:
        house.come_back()


@pytest.mark.parametrize(
    ("kind", "wrong", "named"),
    [
        ("vault", {"VAULT_TOKEN": "s.c4n4ry-wrong"}, "VAULT_TOKEN"),
        ("kms", {"AWS_SECRET_ACCESS_KEY": ""}, "AWS_SECRET_ACCESS_KEY"),
        ("pkcs11", {"STRONGROOM_PKCS11_PIN": "c4n4ry-wrong"}, "STRONGROOM_PKCS11_PIN"),
    ],
)
async def test_wrong_credentials_end_the_start_and_are_named(
    request: pytest.FixtureRequest, kind: str, wrong: dict[str, str], named: str, tmp_path: Path
) -> None:
    house: House = request.getfixturevalue(f"{kind}_house")
    async with serving(tmp_path, house.environment("atto", **wrong)) as service:
        assert await asyncio.to_thread(service.process.wait_end) == 1
    printed = service.process.logs()
    assert named in printed
    assert "c4n4ry" not in printed
    assert "Traceback" not in printed


async def test_a_backend_that_never_answers_delays_no_other_ledger(
    openbao: OpenBao, vault_house: House, tmp_path: Path
) -> None:
    variables = vault_house.environment("atto")
    openbao.pause()
    try:
        started = Started(tmp_path, variables, "atto", "bittensor")
        with started.process:
            await started.until_status(f"{started.atto}/wallets", 503)
            answered = await until(
                lambda: started.ask("GET", f"{started.bittensor}/wallet/keys"),
                lambda one: one is not None and one.status_code != 503,
            )
            assert answered is not None
            refused = await started.until_status(f"{started.atto}/wallets", 503)
            assert refused.json()["code"] == "key_backend_unavailable"
            openbao.resume()
            await started.ready()
    finally:
        openbao.resume()


async def test_bittensor_waits_in_its_own_dialect(house: House, tmp_path: Path) -> None:
    house.leave()
    try:
        started = Started(tmp_path, house.environment("bittensor"), "bittensor")
        with started.process:
            refused = await until(
                lambda: started.ask("GET", f"{started.bittensor}/wallet/keys"),
                lambda one: one is not None and one.json().get("code") == "key_backend_unavailable",
            )
            assert refused is not None
            assert refused.status_code == 503
            assert refused.json()["submitted"] is False
            house.come_back()
            await started.ready()
    finally:
        house.come_back()


async def test_replicas_that_start_together_share_one_key(
    house: House, mariadb: MariaDB, tmp_path: Path
) -> None:
    """On MariaDB, each with a data folder of its own: only the database and the backend are shared."""
    url = mariadb.new_database()
    variables = house.environment("atto") | _database(url)
    replicas = [Started(tmp_path / name, variables) for name in ("one", "two")]
    try:
        for each in replicas:
            await each.ready()
        await replicas[0].make_wallet("Treasury")
        await replicas[1].make_account("Treasury")
        assert execute_elsewhere(url, "SELECT backend FROM strongroom_key") == [[house.reference]]
    finally:
        for each in replicas:
            each.process.kill()


async def test_a_wrapped_key_that_another_program_exchanged_is_refused(house: House, tmp_path: Path) -> None:
    variables = house.environment("atto")
    async with serving(tmp_path, variables) as service:
        await service.ready()
        await service.make_wallet("Treasury")
        assert await asyncio.to_thread(service.process.terminate) == 0
    backend = house.backend("atto")
    foreign = await backend.wrap(bytes(range(32)))
    await backend.close()
    url = sqlite_url(str(tmp_path / "atto.sqlite3"))
    execute_elsewhere(url, f"UPDATE strongroom_key SET wrapped = X'{foreign.hex()}'")  # noqa: S608
    async with serving(tmp_path, variables) as service:
        assert await asyncio.to_thread(service.process.wait_end) == 1
    assert "to another key than it was" in service.process.logs()


def _database(url: URL) -> dict[str, str]:
    return {
        "ATTO_DB_HOST": str(url.host),
        "ATTO_DB_PORT": str(url.port),
        "ATTO_DB_NAME": str(url.database),
        "ATTO_DB_USER": str(url.username),
        "ATTO_DB_PASSWORD": str(url.password),
    }


async def test_neither_credentials_nor_the_key_are_ever_shown(house: House, tmp_path: Path) -> None:
    """In logs of every level, errors, health, metrics, and all files of the data folder."""
    variables = house.environment("atto", LOG_LEVEL="DEBUG")
    shown: list[str] = []
    async with serving(tmp_path / "data", variables) as service:
        await service.ready()
        await service.make_wallet("Treasury")
        for path in ("/health", "/prometheus"):
            answer = await service.ask("GET", service.management + path)
            assert answer is not None
            shown.append(answer.text)
        assert await asyncio.to_thread(service.process.terminate) == 0
        shown.append(service.process.logs())
    house.leave()
    try:
        async with serving(tmp_path / "data", variables) as service:
            await until(lambda: service.component("attoKeyBackend"), lambda one: house.reference in str(one))
            refused = await service.until_status(f"{service.atto}/wallets", 503)
            shown += [refused.text, str(await service.component("attoKeyBackend"))]
            assert await asyncio.to_thread(service.process.terminate) == 0
            shown.append(service.process.logs())
        shown.append((await asyncio.to_thread(doctor, tmp_path / "data", variables))[1])
    finally:
        house.come_back()
    text = "\n".join(shown)
    assert house.reference in text
    files = await asyncio.to_thread(_contents, tmp_path / "data")
    for secret in await _secrets(house, tmp_path / "data"):
        assert secret not in text.encode()
        assert secret not in files


async def _secrets(house: House, folder: Path) -> list[bytes]:
    """The credentials, and the key-encryption key as bytes, hex digits and base64."""
    url = sqlite_url(str(folder / "atto.sqlite3"))
    ((wrapped,),) = execute_elsewhere(url, "SELECT hex(wrapped) FROM strongroom_key")
    backend = house.backend("atto")
    key = await backend.unwrap(bytes.fromhex(wrapped))
    await backend.close()
    names = ("VAULT_TOKEN", "AWS_SECRET_ACCESS_KEY", "STRONGROOM_PKCS11_PIN")
    credentials = [house.variables[name].encode() for name in names if name in house.variables]
    assert len(credentials) == 1
    shapes = [key, key.hex().encode(), key.hex().upper().encode(), base64.b64encode(key)[:-2]]
    return credentials + shapes


def _contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
