"""/wallet/sign, /wallet/verify and /wallet/info: the original's fields, with its faults mended."""

import base64
from pathlib import Path
from typing import Any

import pytest

from bittensor.conftest import Start
from strongroom.bittensor.protocol.keys import Keypair, verify
from support.bittensor_service import COLD, HOT, WALLET, BittensorService, write_wallet
from support.trail import verify as verify_audit

LOGIN = "1763729464123"
HEX = "0123456789abcdef"


async def test_the_hotkey_signs(service: BittensorService) -> None:
    answer = await service.sign(LOGIN)
    assert answer.status_code == 200
    document = answer.json()
    assert document == {"signature": document["signature"], "message": LOGIN, "ss58_address": HOT.address}
    assert set(document["signature"]) <= set(HEX)
    assert verify(HOT.public_key, LOGIN.encode(), bytes.fromhex(document["signature"]))


async def test_each_signature_has_its_row_in_the_audit_trail(service: BittensorService) -> None:
    before = await verify_audit(service.ledger.database, service.ledger.trail_key)
    await service.sign(LOGIN)
    await service.sign("anything else")
    assert await verify_audit(service.ledger.database, service.ledger.trail_key) == before + 1


async def test_the_coldkey_signs_when_the_token_allows_it_and_tells_its_own_address(
    service: BittensorService,
) -> None:
    refused = await service.sign(LOGIN, message_type="coldkey")
    assert (refused.status_code, refused.json()["code"]) == (403, "coldkey_not_allowed")
    answer = await service.sign(LOGIN, await service.token(coldkey=True), message_type="coldkey")
    document = answer.json()
    assert document["ss58_address"] == COLD.address
    assert verify(COLD.public_key, LOGIN.encode(), bytes.fromhex(document["signature"]))


@pytest.mark.parametrize(
    "message",
    ["hello", "x" * 32, "0x" + "07" * 40, "", "\x00" * 40, f"{LOGIN}.{COLD.address}.{HOT.address}.ab.cd"],
)
async def test_what_could_be_more_than_a_message_is_refused(service: BittensorService, message: str) -> None:
    refused = await service.sign(message)
    assert (refused.status_code, refused.json()["code"]) == (400, "message_refused")


async def test_a_token_may_be_allowed_any_text(service: BittensorService) -> None:
    headers = await service.token(any_text=True)
    assert (await service.sign("I own this hotkey.", headers)).status_code == 200
    assert (await service.sign("x" * 32, headers)).json()["code"] == "message_refused"


async def test_a_signature_verifies_with_the_key_that_made_it_alone(service: BittensorService) -> None:
    signature = HOT.sign(LOGIN.encode()).hex()
    answer = await service.verify(LOGIN, signature)
    assert (answer.status_code, answer.json()) == (200, {"is_valid": True, "ss58_address": HOT.address})
    assert (await service.verify(LOGIN, f"0x{signature}")).json()["is_valid"] is True
    assert (await service.verify(f"{LOGIN}0", signature)).json()["is_valid"] is False
    other = await service.verify(LOGIN, signature, message_type="coldkey")
    assert other.json() == {"is_valid": False, "ss58_address": COLD.address}


async def test_a_signature_over_the_wrapped_message_verifies_too(service: BittensorService) -> None:
    signature = HOT.sign(f"<Bytes>{LOGIN}</Bytes>".encode()).hex()
    assert (await service.verify(LOGIN, signature)).json()["is_valid"] is True


@pytest.mark.parametrize("signature", ["zz", "0x", "00" * 63, ""])
async def test_what_is_no_signature_is_refused(service: BittensorService, signature: str) -> None:
    refused = await service.verify(LOGIN, signature)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_signature")
    assert refused.json()["detail"].startswith("Invalid signature format: ")


async def test_info(service: BittensorService) -> None:
    for path in ("/wallet/info", "/wallet/wallet_info"):
        answer = await service.client.get(path, params={"wallet_name": "validator"})
        assert answer.json() == {
            "wallet_name": "validator",
            "hotkey_name": "default",
            "hotkey_address": HOT.address,
            "coldkey_address": COLD.address,
            "is_unlocked": True,
        }


@pytest.mark.parametrize(
    ("wallet", "hotkey", "detail", "code"),
    [
        ("nobody", "default", "Wallet nobody not found", "wallet_not_found"),
        (
            "validator",
            "other",
            "Hotkey file not found for wallet validator, hotkey other",
            "hotkey_not_found",
        ),
    ],
)
async def test_what_is_not_there_is_404(
    service: BittensorService, wallet: str, hotkey: str, detail: str, code: str
) -> None:
    answer = await service.info(wallet, hotkey_name=hotkey)
    assert (answer.status_code, answer.json()) == (404, {"detail": detail, "code": code})
    assert (await service.sign(LOGIN, wallet_name=wallet, hotkey_name=hotkey)).json()["code"] == code


@pytest.mark.parametrize(
    "name", ["../validator", "a/b", "", ".", "..", "a\x00b", "~", "ü", "x" * 65, "a ", "a\nb"]
)
async def test_a_name_is_no_path(start: Start, tmp_path: Path, name: str) -> None:
    write_wallet(tmp_path / "wallets", "mnemonic_12", "validator")
    async with start(BITTENSOR_WALLET_PATH=str(tmp_path / "wallets" / "other")) as service:
        answer = await service.info(name)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_wallet_name")
        answer = await service.sign(LOGIN, wallet_name="validator", hotkey_name=name)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_hotkey_name")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"{", ["body"]),
        (b"[]", ["body"]),
        (b'{"wallet_name": "validator"}', ["body"]),
        (b'{"wallet_name": 1, "message": "m"}', ["body", "wallet_name"]),
        (b'{"wallet_name": "\xff\xfe"}', ["body"]),
        (b'{"wallet_name": "validator", "more": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", ["body"]),
    ],
    ids=["cut off", "a list", "a field missing", "a number", "no UTF-8", "deep"],
)
async def test_a_wrong_body_is_422_with_a_list(
    service: BittensorService, body: bytes, place: list[str]
) -> None:
    answer = await service.client.post(
        "/wallet/sign", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    document = answer.json()
    assert document["code"] == "invalid_request"
    assert document["detail"][0]["loc"] == place
    assert set(document["detail"][0]) == {"type", "loc", "msg"}


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ({"weights": [1, True]}, ["weights", 1]),
        ({"uids": {"1": 1}}, ["uids"]),
        ({"netuid": None}, ["netuid"]),
    ],
    ids=["in a list", "no list", "nothing"],
)
async def test_a_wrong_value_is_named_by_its_place(
    service: BittensorService, part: dict[str, Any], place: list[str | int]
) -> None:
    transaction = {"netuid": 2, "uids": [1, 2], "weights": [1, 2], "version_key": 0} | part
    body = {"wallet_name": "validator", "transaction_data": transaction}
    answer = await service.client.post("/wallet/set_weights", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"][0]["loc"] == ["body", "transaction_data", *place]


async def test_a_missing_query_is_422(service: BittensorService) -> None:
    answer = await service.client.get("/wallet/info")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("job", ["%F0%9F%92%A9", "%C3%A9", "%FF%FE", "%00", "a" * 5000])
async def test_a_job_that_cannot_be_is_not_found(service: BittensorService, job: str) -> None:
    answer = await service.client.get(f"/wallet/jobs/{job}")
    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")


@pytest.mark.parametrize("netuid", ["-1", "4096", "9" * 30])
async def test_a_subnet_that_cannot_be_is_refused(service: BittensorService, netuid: str) -> None:
    answer = await service.client.put(
        f"/api/v1/identity/{WALLET}/subnet/{netuid}/weights", json={"weights": {HOT.address: 1.0}}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_weights")


async def test_a_large_body_is_refused(service: BittensorService) -> None:
    answer = await service.sign("1" * 1_100_000)
    assert answer.status_code == 413


async def test_keys_in_a_folder_are_used_where_they_lie(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "wallets"
    found = write_wallet(folder, "mnemonic_12", "miner")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    async with start(BITTENSOR_WALLET_PATH=str(folder)) as service:
        assert (await service.info("miner", hotkey_name="h")).json() == {
            "wallet_name": "miner",
            "hotkey_name": "h",
            "hotkey_address": found["expected"]["ss58"],
            "coldkey_address": found["expected"]["ss58"],
            "is_unlocked": True,
        }
        signed = await service.sign(LOGIN, wallet_name="miner", hotkey_name="h")
        public_key = bytes.fromhex(found["expected"]["public_key"][2:])
        assert verify(public_key, LOGIN.encode(), bytes.fromhex(signed.json()["signature"]))
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("source", ["own", "general"])
async def test_an_encrypted_key_opens_with_its_password_and_says_so(
    start: Start, tmp_path: Path, source: str
) -> None:
    folder = tmp_path / "wallets"
    found = write_wallet(folder, "legacy_ansible_vault", "miner", coldkey="hotkeys/h")
    variable = "BT_PW_" + str(folder / "miner/hotkeys/h").replace("/", "_").replace(".", "_").upper()
    passwords = {
        "own": {variable: _btwallet_form(variable, "legacy-pw")},
        "general": {"WALLET_PASSWORD": "legacy-pw"},
    }
    async with start(BITTENSOR_WALLET_PATH=str(folder), **passwords[source]) as service:
        signed = await service.sign(LOGIN, wallet_name="miner", hotkey_name="h")
        assert signed.json()["ss58_address"] == found["expected"]["ss58"]
        assert (await service.info("miner", hotkey_name="h")).json()["is_unlocked"] is True


@pytest.mark.parametrize(
    ("password", "code"), [({}, "key_locked"), ({"WALLET_PASSWORD": "open sesame"}, "wrong_password")]
)
async def test_an_encrypted_key_stays_locked_otherwise(
    start: Start, tmp_path: Path, password: dict[str, str], code: str
) -> None:
    folder = tmp_path / "wallets"
    write_wallet(folder, "legacy_ansible_vault", "miner", coldkey="hotkeys/h")
    async with start(BITTENSOR_WALLET_PATH=str(folder), **password) as service:
        for _ in range(2):
            refused = await service.sign(LOGIN, wallet_name="miner", hotkey_name="h")
            assert (refused.status_code, refused.json()["code"]) == (423, code)
            assert "sesame" not in refused.text


async def test_a_wallet_s_public_files_are_enough_to_verify(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "wallets"
    path = folder / "watched" / "hotkeys" / "hpub.txt"
    path.parent.mkdir(parents=True)
    key = Keypair.from_uri("//Watched")
    path.write_text(f'{{"ss58Address": "{key.address}"}}')
    async with start(BITTENSOR_WALLET_PATH=str(folder)) as service:
        answer = await service.verify(
            LOGIN, key.sign(LOGIN.encode()).hex(), wallet_name="watched", hotkey_name="h"
        )
        assert answer.json() == {"is_valid": True, "ss58_address": key.address}
        info = (await service.info("watched", hotkey_name="h")).json()
        assert (info["coldkey_address"], info["is_unlocked"]) == (None, False)
        assert (await service.sign(LOGIN, wallet_name="watched", hotkey_name="h")).status_code == 404


def _btwallet_form(variable: str, password: str) -> str:
    mixed = bytes(byte ^ ord(variable[i % len(variable)]) for i, byte in enumerate(password.encode()))
    return base64.b64encode(mixed).decode()
