"""What stands between the recorded answers: wallets that are not loaded, shielded addresses, odd numbers, web pages."""

from typing import Any
from urllib.parse import quote

import pytest

from strongroom.core.storage.database import Database
from strongroom.hathor.api.validation import amount, number, text
from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.hashes import base58check_decode
from support.clock import ManualClock
from support.hathor.api import recorded_rows, serving_api
from support.hathor.proposals import FUNDS
from support.sql import execute

pytestmark = pytest.mark.anyio

FIRST = "HBCQgVR8Xsyv1BLDjf9NJPK1Hwg4rKUh62"
SPENT = "ee" * 32
NOT_READY = (400, {"success": False, "error": "wallet-not-ready"})
BEFORE_IT_IS_LOADED = {
    "/wallet/status": 200,
    "/wallet/addresses": 400,
    "/wallet/addresses/new": 400,
    "/wallet/addresses/has-transactions-outside-first-address": 400,
    "/wallet/address/info": 400,
    "/wallet/balances": 400,
    "/wallet/history": 400,
    "/wallet/tokens": 200,
    f"/wallet/transactions/{FUNDS}": 200,
    "/wallet/tx_outputs": 200,
    "/wallet/utxos": 200,
}
NOT_POSITIVE = "failed custom validation because value must be positive"


@pytest.mark.parametrize("status", ["creating", "error"])
async def test_a_wallet_that_is_not_loaded(database: Database, clock: ManualClock, status: str) -> None:
    rows = recorded_rows()
    rows["wallet"][0] |= {"status": status, "ready_at": None}
    async with serving_api(database, clock, rows=rows) as api:
        for path, code in BEFORE_IT_IS_LOADED.items():
            answer = await api.get(path)
            assert answer[0] == code, path
            assert (answer == NOT_READY) is (code != 200)
        assert len((await api.get("/wallet/tx_outputs"))[1]["txOutputs"]) == 4
        unclaim = "UPDATE address SET wallet_id = NULL, `index` = NULL, bip32_account = NULL"
        await database.write(lambda c: execute(c, unclaim))
        for path in ("/wallet/tx_outputs", "/wallet/utxos"):
            assert await api.get(path) == NOT_READY


async def test_the_transaction_says_whether_it_is_voided(database: Database, clock: ManualClock) -> None:
    async with serving_api(database, clock, rows=recorded_rows()) as api:
        status, body = await api.get(f"/wallet/transactions/{SPENT}")
        assert (status, body["txTokens"][0]["voided"]) == (200, False)
        sql = "UPDATE `transaction` SET voided = 1 WHERE tx_id = {}"
        await database.write(lambda c: execute(c, sql, SPENT))
        gone = (404, {"success": False, "error": "tx-not-found"})
        assert await api.get(f"/wallet/transactions/{SPENT}") == gone


async def test_a_token_without_a_name_is_left_out(database: Database, clock: ManualClock) -> None:
    async with serving_api(database, clock, rows=recorded_rows()) as api:
        await database.write(lambda c: execute(c, "DELETE FROM token WHERE id <> '00'"))
        _, body = await api.get(f"/wallet/transactions/{FUNDS}")
        assert [token["tokenId"] for token in body["txTokens"]] == ["00"]


async def test_shielded_addresses_that_the_original_made(database: Database, clock: ManualClock) -> None:
    rows = recorded_rows()
    wallet = rows["wallet"][0]
    wallet |= {"shielded_max_gap": 1, "last_used_shielded_index": 0, "ct_status": "ready"}
    rows["address"] += [
        {
            "address": f"H{'z' * 32}{index}",
            "ct_address": f"shielded {index}",
            "index": index,
            "wallet_id": wallet["id"],
            "transactions": 1 - min(index, 1),
            "bip32_account": 2,
        }
        for index in range(3)
    ]
    second = {"index": 1, "addressPath": "m/44'/280'/2'/0/1"}
    async with serving_api(database, clock, rows=rows) as api:
        _, body = await api.get("/wallet/addresses", legacy="false", index="1")
        known = {"index": 1, "transactions": 0, "seqnum": 0}
        entry = {"address": "shielded 1", "spendAddress": f"H{'z' * 32}1", **known}
        assert body == {"success": True, "addresses": [entry]}
        _, body = await api.get("/wallet/addresses", legacy="false")
        assert [each["address"] for each in body["addresses"]] == ["shielded 0", "shielded 1", "shielded 2"]
        _, body = await api.get("/wallet/addresses/new", legacy="false")
        assert body["addresses"] == [{"address": "shielded 1", **second}]
        assert body["spendAddresses"] == [{"address": f"H{'z' * 32}1", **second}]
        _, ours = await api.get("/wallet/addresses/new")
        assert body["legacyAddresses"] == ours["addresses"]
        _, body = await api.get("/wallet/address/info", address=f"H{'z' * 32}1")
        assert body["data"] == {"address": f"H{'z' * 32}1", **known}


@pytest.mark.parametrize(
    ("written", "value", "wrong"),
    [
        (" 7\t", 7, []),
        ("+007", 7, []),
        ("0x1F", 31, []),
        ("0b11", 3, []),
        ("0o17", 15, []),
        ("9" * 40, int("9" * 40), []),
        ("", "", [NOT_POSITIVE]),
        (" ", " ", [NOT_POSITIVE]),
        ("-7", "-7", [NOT_POSITIVE]),
        ("0x0", "0x0", [NOT_POSITIVE]),
        ("+", "+", ["failed custom validation because Cannot convert + to a BigInt"]),
        ("1_0", "1_0", ["failed custom validation because Cannot convert 1_0 to a BigInt"]),
        (
            "9" * 1001,
            "9" * 1001,
            [f"failed custom validation because Cannot convert {'9' * 1001} to a BigInt"],
        ),
    ],
)
def test_amounts_are_read_as_javascript_reads_them(written: str, value: object, wrong: list[str]) -> None:
    assert amount()(written, True) == (value, wrong)


@pytest.mark.parametrize("written", ["1e400", "1.00000000000000000000001", "1e-400", "9" * 2000, "1e20"])
def test_numbers_that_would_be_rounded_are_not_safe(written: str) -> None:
    assert number()(written, True)[1] == ["must be a safe number"]


@pytest.mark.parametrize(("written", "value"), [("1.10", 1.1), ("0e9", 0), ("-0", 0), ("5.", 5), ("1e1", 10)])
def test_other_numbers_are(written: str, value: float) -> None:
    assert number()(written, True) == (value, [])


def test_nor_is_any_number() -> None:
    """A pattern that tries every way to share the digits, or the blanks, would take minutes here."""
    assert number()("1" * 200_000 + "x", True)[1] == ["must be a number"]
    blanks = " " * 200_000 + "x"
    message = f"failed custom validation because Cannot convert {blanks} to a BigInt"
    assert amount()(blanks, True)[1] == [message]


def test_no_key_is_long_enough_to_keep_the_service_busy() -> None:
    with pytest.raises(ProtocolError):
        base58check_decode("z" * 900_000)  # decoding it would take minutes


@pytest.mark.parametrize("path", ["/wallet/init", "/wallet/auth"])
async def test_a_body_that_is_no_number_in_json(database: Database, clock: ManualClock, path: str) -> None:
    method: Any = {"/wallet/init": "POST", "/wallet/auth": "PUT"}[path]
    async with serving_api(database, clock) as api:
        for body, message in (
            ('{"timestamp":1e999}', '"timestamp" cannot be infinity'),
            ('{"timestamp":1e999,"xpubkey":NaN}', '"value" must be of type object'),
            ('{"timestamp":-1e999' + "[" * 5000, '"value" must be of type object'),
        ):
            answer = await api.client.request(method, path, content=body)
            assert message in [each["message"] for each in answer.json()["details"]]


async def test_a_web_page_may_send_a_token(database: Database, clock: ManualClock) -> None:
    """For browsers `*` does not stand for Authorization."""
    async with serving_api(database, clock, rows=recorded_rows()) as api:
        asked = {"Origin": "https://wallet.example", "Access-Control-Request-Headers": "authorization"}
        answer = await api.client.options("/wallet/status", headers=asked)
        assert (answer.status_code, answer.content) == (200, b"")
        for response in (answer, await api.client.get("/wallet/status"), await api.client.get("/nowhere")):
            assert response.headers["access-control-allow-origin"] == "*"
            allowed = response.headers["access-control-allow-headers"].lower().split(",")
            assert {"authorization", "content-type", "strongroom-amounts"} <= set(allowed)


async def test_strange_keys_are_named_in_the_query_s_order(database: Database, clock: ManualClock) -> None:
    strange = [f"key{place * 7 % 10}" for place in range(10)]
    async with serving_api(database, clock, rows=recorded_rows()) as api:
        answer = await api.client.get(
            "/wallet/balances", params=[(key, "x") for key in strange], headers=api.full()
        )
        assert [detail["path"] for detail in answer.json()["details"]] == [[key] for key in strange]


async def test_a_line_feed_is_no_letter(database: Database, clock: ManualClock) -> None:
    body = {"pushProvider": "android\n", "deviceId": "d"}
    async with serving_api(database, clock, rows=recorded_rows()) as api:
        answer = await api.client.post("/wallet/push/register", json=body, headers=api.full())
        message = (
            '"pushProvider" with value "android\n" fails to match the required pattern: /^(?:ios|android)$/'
        )
        details = [{"message": message, "path": ["pushProvider"]}]
        assert (answer.status_code, answer.json()["details"]) == (400, details)


async def test_nothing_is_missing_where_something_is_too_much(database: Database, clock: ManualClock) -> None:
    async with serving_api(database, clock, rows=recorded_rows()) as api:
        answer = await api.client.post("/tx/proposal", json={"hex": "00"}, headers=api.full())
        assert answer.json()["details"] == [{"message": '"hex" is not allowed', "path": ["hex"]}]


@pytest.mark.parametrize("name", ["é", "\ud7ff", "💥", "a\0b"])
async def test_names_of_letters_that_no_id_has(database: Database, clock: ManualClock, name: str) -> None:
    """They are not found; MariaDB compares no such letters with a column of ASCII."""
    now_s = clock.now_ms() // 1000
    auth = {"ts": now_s, "xpub": name, "sign": name, "walletId": name}
    device = {"pushProvider": "ios", "deviceId": name}
    written = quote(name)
    asked: list[tuple[str, str, Any, int]] = [
        ("GET", f"/wallet/tx_outputs?tokenId={written}", None, 200),
        ("GET", f"/wallet/tx_outputs?txId={written}&index=0", None, 200),
        ("GET", f"/wallet/utxos?addresses[]={written}", None, 400),
        ("GET", f"/wallet/transactions/{quote((name * 64)[: 32 if name == '💥' else 64])}", None, 404),
        ("GET", f"/wallet/?id={written}", None, 404),
        ("POST", "/auth/token", auth, 400),
        ("POST", "/auth/token/readonly", {"xpubkey": name}, 400),
        ("DELETE", f"/tx/proposal/{written}", None, 404),
        ("DELETE", f"/txproposals/{written}", None, 404),
        ("POST", "/wallet/push/register", device, 200),
        ("PUT", "/wallet/push/update", {"deviceId": name}, 200),
        ("DELETE", f"/wallet/push/unregister/{written}", None, 200),
    ]
    async with serving_api(database, clock, rows=recorded_rows()) as api:
        for method, path, body, status in asked:
            first = path.startswith(("/wallet/?", "/txproposals"))
            headers = {"Host": "localhost"} if first else api.full()
            answer = await api.client.request(method, path, json=body, headers=headers)
            assert answer.status_code == status, (method, path, answer.text)


def test_lengths_are_javascripts() -> None:
    check = text(most=4)
    assert check("💥💥", True)[1] == []
    assert check("💥💥a", True)[1] == ["length must be less than or equal to 4 characters long"]
