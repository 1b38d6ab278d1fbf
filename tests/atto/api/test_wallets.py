"""Routes 1 to 6: documents, statuses and words."""

import re
import secrets
from typing import Any
from urllib.parse import quote

import pytest

from strongroom.atto.protocol import Mnemonic
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, assert_empty, assert_refused

pytestmark = pytest.mark.anyio
# The last word of the commons' phrase is exchanged: the checksum is wrong.
WRONG_PHRASE = (
    "edge defense waste choose enrich upon flee junk siren film clown finish luggage leader kid quick brick "
    "print evidence swap drill paddle truly abandon"
)


@pytest.fixture
def service(shared_service: AttoService) -> AttoService:
    return shared_service


def new_phrase() -> str:
    return Mnemonic.from_entropy32(secrets.token_bytes(32)).phrase


async def test_the_secrets_of_a_created_wallet_are_shown_once(service: AttoService) -> None:
    created = await service.post("/wallets/made")
    assert list(created) == ["mnemonic", "encryptionKey"]
    assert Mnemonic.parse(created["mnemonic"]).phrase == created["mnemonic"]
    assert re.fullmatch("[0-9A-F]{64}", created["encryptionKey"])
    assert await service.get("/wallets/made") == {"name": "made", "lockState": "UNLOCKED"}


async def test_wallets_are_listed_with_their_locks(service: AttoService) -> None:
    open_, locked = await service.create_wallet(), await service.create_wallet()
    await service.lock(locked)
    states = await service.get("/wallets")
    assert {"name": open_.name, "lockState": "UNLOCKED"} in states
    assert {"name": locked.name, "lockState": "LOCKED"} in states
    assert [state["name"] for state in states] == sorted(state["name"] for state in states)


async def test_unknown_wallet_is_not_found(service: AttoService) -> None:
    key = {"encryptionKey": "00" * 32}
    for response in (
        await service.client.get("/wallets/nowhere"),
        await service.client.put("/wallets/nowhere/locks/LOCKED"),
        await service.client.put("/wallets/nowhere/locks/UNLOCKED", json=key),
    ):
        assert_refused(response, 404, "Wallet with nowhere not found", "wallet_not_found")


async def test_name_is_taken_once(service: AttoService) -> None:
    wallet = await service.create_wallet()
    words = f"Wallet with name {wallet.name} already exists"
    assert_refused(await service.client.post(f"/wallets/{wallet.name}"), 409, words, "wallet_exists")
    body = {"mnemonic": new_phrase()}
    assert_refused(
        await service.client.put(f"/wallets/{wallet.name}", json=body), 409, words, "wallet_exists"
    )


async def test_import_echoes_the_key_as_it_was_given(service: AttoService) -> None:
    body = {"mnemonic": new_phrase(), "encryptionKey": "aB" * 32}
    response = await service.client.put("/wallets/echo", json=body)
    assert (response.status_code, response.json()) == (200, body)


async def test_import_makes_a_key_when_none_is_given(service: AttoService) -> None:
    phrase = new_phrase()
    bodies: dict[str, dict[str, object]] = {
        "no-key": {},
        "null-key": {"encryptionKey": None},
        "more": {"unknown": 1},
    }
    for name, body in bodies.items():
        imported = (await service.client.put(f"/wallets/{name}", json={"mnemonic": phrase} | body)).json()
        assert imported["mnemonic"] == phrase
        assert re.fullmatch("[0-9A-F]{64}", imported["encryptionKey"])


@pytest.mark.parametrize("phrase", [WRONG_PHRASE, "abandon", "", "x " * 24, "zoo " * 10_000])
async def test_invalid_mnemonic_is_refused_without_words(service: AttoService, phrase: str) -> None:
    response = await service.client.put("/wallets/invalid", json={"mnemonic": phrase})
    assert_empty(response, 400)


@pytest.mark.parametrize("key", ["", "00", "zz" * 32, "00" * 33, "é" * 64])
async def test_import_refuses_what_is_no_key(service: AttoService, key: str) -> None:
    body = {"mnemonic": new_phrase(), "encryptionKey": key}
    assert_refused(
        await service.client.put("/wallets/keyless", json=body),
        400,
        "encryptionKey must be 64 hex digits",
        "invalid_encryption_key",
    )


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"mnemonic":1}', b"null", b"\xff", b"7"])
async def test_unreadable_body_is_refused(service: AttoService, content: bytes) -> None:
    for path in ("/wallets/unreadable", "/wallets/unreadable/locks/UNLOCKED"):
        response = await service.client.put(
            path, content=content, headers={"Content-Type": "application/json"}
        )
        document = response.json()
        assert (response.status_code, document["error"], document["path"]) == (400, "Bad Request", path)
        assert document["message"]


async def test_secrets_of_a_refused_body_are_not_repeated(service: AttoService) -> None:
    """Nothing of the answer depends on them."""

    async def refused(phrase: str) -> dict[str, Any]:
        response = await service.client.put(
            "/wallets/secretive",
            content=f'{{"mnemonic":["{phrase}"]}}',
            headers={"Content-Type": "application/json"},
        )
        assert response.status_code == 400
        document: dict[str, Any] = response.json()
        return document | {"timestamp": "", "requestId": ""}

    assert await refused(new_phrase()) == await refused(new_phrase())


async def test_locking_and_unlocking_twice_is_fine(service: AttoService) -> None:
    wallet = await service.create_wallet()
    await service.unlock(wallet)
    for _ in range(2):
        assert_empty(await service.client.put(f"/wallets/{wallet.name}/locks/LOCKED"), 200)
    body = {"encryptionKey": wallet.encryption_key.lower()}
    for _ in range(2):
        assert_empty(await service.client.put(f"/wallets/{wallet.name}/locks/UNLOCKED", json=body), 200)


@pytest.mark.parametrize("key", ["00" * 32, "", "zz", "00" * 40])
async def test_wrong_key_unlocks_nothing(service: AttoService, key: str) -> None:
    wallet = await service.create_wallet()
    await service.lock(wallet)
    response = await service.client.put(f"/wallets/{wallet.name}/locks/UNLOCKED", json={"encryptionKey": key})
    assert_refused(response, 400, f"Invalid encryption key for {wallet.name}", "invalid_encryption_key")
    assert (await service.get(f"/wallets/{wallet.name}"))["lockState"] == "LOCKED"


async def test_locked_wallet_stays_readable_and_signs_nothing(
    service: AttoService, network: AttoNetwork
) -> None:
    wallet = await service.create_wallet()
    address = await service.open_account(network, 100, wallet)
    await service.lock(wallet)
    assert (await service.until_balance(address, 100))["height"] == 1
    locked = (400, f"Wallet {wallet.name} is locked", "wallet_locked")
    client, path = service.client, f"/wallets/{wallet.name}"
    assert_refused(await client.post(f"{path}/accounts"), *locked)
    assert_refused(await client.post(f"{path}/accounts/ranges/3"), *locked)
    assert_refused(await client.post(f"{path}/recoveries", json={"gapLimit": 3}), *locked)
    assert_refused(await service.send(address, NOBODY, 1), *locked)
    assert_refused(await service.change(address, NOBODY), *locked)


async def test_key_that_unlocks_gives_the_same_accounts(service: AttoService, network: AttoNetwork) -> None:
    wallet = await service.create_wallet()
    address = await service.open_account(network, 100, wallet)
    await service.lock(wallet)
    await service.unlock(wallet)
    assert (await service.send(address, NOBODY, 1)).json()["balance"] == 99


@pytest.mark.parametrize(
    "name", ["a b", "ß", "日本", "🦊", "a'b\"c", "%", "x" * 255, "a;drop table wallet", "A.b-c_d~"]
)
async def test_wallet_has_any_printable_name(service: AttoService, name: str) -> None:
    path = f"/wallets/{quote(name, safe='')}"
    await service.post(path)
    assert await service.get(path) == {"name": name, "lockState": "UNLOCKED"}
    assert (await service.post(f"{path}/accounts"))["index"] == 0
    (row,) = await service.get(f"{path}/accounts")
    assert row["walletName"] == name


async def test_names_that_differ_in_case_are_two_wallets(service: AttoService) -> None:
    lower, upper = await service.create_wallet("case"), await service.create_wallet("CASE")
    assert lower.mnemonic != upper.mnemonic
    await service.lock(upper)
    assert (await service.get("/wallets/case"))["lockState"] == "UNLOCKED"
    assert (await service.get("/wallets/CASE"))["lockState"] == "LOCKED"
    assert_refused(
        await service.client.get("/wallets/Case"), 404, "Wallet with Case not found", "wallet_not_found"
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("accounts", "The wallet name accounts is reserved"),
        ("x" * 256, "A wallet name has 1 to 255 characters"),
        ("tab\t", "A wallet name has no control characters"),
        ("line\n", "A wallet name has no control characters"),
        ("nul\0", "A wallet name has no control characters"),
        ("next\u0085", "A wallet name has no control characters"),
    ],
)
async def test_name_that_no_wallet_can_have_is_refused(service: AttoService, name: str, words: str) -> None:
    path = f"/wallets/{quote(name, safe='')}"
    imported = await service.client.put(path, json={"mnemonic": new_phrase()})
    for response in (await service.client.post(path), imported):
        document = response.json()
        assert (response.status_code, document["message"], document["path"]) == (
            400,
            words,
            f"/wallets/{name}",
        )
        assert document["code"] == "invalid_wallet_name"
