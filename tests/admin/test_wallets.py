"""Wallets of all ledgers over the admin API."""

from typing import Any

import pytest
from sqlalchemy import Connection

from strongroom.atto import tables as atto
from strongroom.hathor import tables as hathor
from support.admin_office import Office

pytestmark = pytest.mark.anyio
ALL = ("atto", "hathor")


async def fill(office: Office) -> None:
    def wallets(connection: Connection) -> None:
        row = {"version": 0, "encrypted_entropy": b"sealed", "encrypted_encryption_key": None}
        connection.execute(atto.wallet.insert(), [{"name": name, **row} for name in ("cold", "hot & cold")])

    def watched(connection: Connection) -> None:
        row = {"xpubkey": "x", "auth_xpubkey": "y", "status": "ready", "created_at": 1_700_000_000}
        connection.execute(hathor.wallet.insert(), [{"id": name, **row} for name in ("aa", "bb")])
        connection.execute(
            hathor.wallet_tx_history.insert(),
            [
                {"wallet_id": "aa", "token_id": "00", "tx_id": str(number), "balance": number, "timestamp": 7}
                for number in range(3)
            ],
        )
        held = {"wallet_id": "aa", "token_id": "00", "unlocked_balance": 2**70, "transactions": 1}
        connection.execute(hathor.wallet_balance.insert(), held)
        places = [
            {
                "address": f"H{number}",
                "index": number,
                "wallet_id": "aa",
                "bip32_account": 0,
                "transactions": 0,
            }
            for number in range(3)
        ]
        connection.execute(hathor.address.insert(), places)

    await office.ledgers["atto"].database.write(wallets)
    await office.ledgers["hathor"].database.write(watched)


async def walk(office: Office, token: str, path: str, key: str, **query: Any) -> list[Any]:
    found = list[Any]()
    while True:
        answer = await office.ask(token, "GET", path, **query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page[key]
        if page["cursor"] is None:
            return found
        query |= {"cursor": page["cursor"]}


async def test_wallets_of_all_ledgers_come_in_one_list(office: Office) -> None:
    await fill(office)
    token = await office.token("admin:wallets", on=ALL)
    found = list[Any]()
    for limit in (1, 2, 3, 100):
        found = await walk(office, token, "/wallets", "wallets", limit=limit)
        assert [(one["ledger"], one["id"]) for one in found] == [
            ("atto", "cold"),
            ("atto", "hot & cold"),
            ("hathor", "aa"),
            ("hathor", "bb"),
        ]
    assert found[2] == {
        "ledger": "hathor",
        "id": "aa",
        "title": None,
        "keys": "watched",
        "accounts": 3,
        "moreAccounts": False,
        "createdAt": "2023-11-14T22:13:20.000Z",
        "balances": [
            {
                "asset": "",
                "unit": "HTR",
                "decimals": 2,
                "availableRaw": str(2**70),
                "lockedRaw": "0",
                "lockedUntil": None,
                "incomingRaw": None,
            }
        ],
        "moreBalances": False,
        "facts": [{"name": "status", "value": "ready"}],
    }
    assert [one["id"] for one in await walk(office, token, "/wallets", "wallets", search="COLD")] == [
        "cold",
        "hot & cold",
    ]
    assert [one["id"] for one in await walk(office, token, "/wallets", "wallets", search="H1")] == ["aa"]
    assert len(await walk(office, token, "/wallets", "wallets", ledger="hathor", limit=1)) == 2


async def test_one_wallet_with_its_accounts_and_its_history(office: Office) -> None:
    await fill(office)
    token = await office.token("admin:wallets", on=ALL)
    shown = await office.ask(token, "GET", "/ledgers/atto/wallets/hot%20%26%20cold")
    assert (shown.status_code, shown.json()["keys"]) == (200, "locked")
    assert "sealed" not in shown.text
    path = "/ledgers/hathor/wallets/aa"
    accounts = await walk(office, token, f"{path}/accounts", "accounts", limit=2)
    assert [one["id"] for one in accounts] == ["H0", "H1", "H2"]
    history = await walk(office, token, f"{path}/history", "history", limit=2)
    assert [one["amountRaw"] for one in history] == ["2", "1", "0"]
    assert await walk(office, token, f"{path}/history", "history", asset="01") == []


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("/ledgers/atto/wallets/none", {}, 404, "wallet_not_found"),
        ("/ledgers/atto/wallets/none/accounts", {}, 404, "wallet_not_found"),
        ("/ledgers/atto/wallets/none/history", {}, 404, "wallet_not_found"),
        ("/ledgers/doge/wallets/none", {}, 404, "ledger_not_found"),
        ("/wallets", {"ledger": "doge"}, 404, "ledger_not_found"),
        ("/wallets", {"cursor": "x"}, 400, "invalid_cursor"),
        ("/wallets", {"cursor": "eyJkb2dlIjoiIn0"}, 400, "invalid_cursor"),
        ("/ledgers/atto/wallets/cold/accounts", {"cursor": "eyJkb2dlIjoiIn0"}, 400, "invalid_cursor"),
        ("/ledgers/atto/wallets/cold/accounts", {"cursor": "eyJhdHRvIjoieCJ9"}, 400, "invalid_cursor"),
        ("/wallets", {"limit": "101"}, 400, "bad_request"),
        ("/wallets", {"search": "x" * 301}, 400, "bad_request"),
        ("/wallets", {"find": "x"}, 400, "unknown_parameter"),
    ],
)
async def test_a_mistake_is_told(office: Office, path: str, query: Any, status: int, code: str) -> None:
    await fill(office)
    token = await office.token("admin:wallets", on=ALL)
    refused = await office.ask(token, "GET", path, **query)
    assert (refused.status_code, refused.json()["code"]) == (status, code)


async def test_only_governed_ledgers_are_listed(office: Office) -> None:
    await fill(office)
    token = await office.token("admin:wallets", on=["hathor"])
    assert {one["ledger"] for one in await walk(office, token, "/wallets", "wallets")} == {"hathor"}
    for path, query in (("/wallets", {"ledger": "atto"}), ("/ledgers/atto/wallets/cold", {})):
        refused = await office.ask(token, "GET", path, **query)
        assert refused.status_code in {401, 403}
    other = await office.token("admin:read", "admin:payments", on=ALL)
    assert (await office.ask(other, "GET", "/wallets")).status_code == 403
