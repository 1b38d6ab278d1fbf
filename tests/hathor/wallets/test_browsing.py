"""Wallets as operators read them, from rows as the sync stores them."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from strongroom.core.errors import InvalidInput, NotFound
from strongroom.core.ledger.browsing.browser import MAX_HOLDINGS
from strongroom.core.ledger.browsing.records import Keys
from strongroom.core.storage.database import Database
from strongroom.hathor import tables
from strongroom.hathor.definition import LEDGER
from strongroom.hathor.protocol.keys import wallet_id
from strongroom.hathor.protocol.transactions import HATHOR_TOKEN
from strongroom.hathor.wallets.browsing import HathorBrowser
from support.clock import ManualClock
from support.rows_read import rows_read

pytestmark = pytest.mark.anyio

MANY = 10_000
TOKEN = "ab" * 32
XPUB = "xpub-of-a-test"


@pytest.fixture
def browser(database: Database, clock: ManualClock) -> HathorBrowser:
    return HathorBrowser(database, clock, LEDGER.coin)


async def store(database: Database, **rows: Sequence[dict[str, Any]]) -> None:
    def work(connection: Connection) -> None:
        for name, each in rows.items():
            connection.execute(getattr(tables, name).insert(), each)

    await database.write(work)


def wallet_row(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "xpubkey": XPUB,
        "auth_xpubkey": "secret",
        "status": "ready",
        "created_at": 1_700_000_000,
    }


def address_row(wallet: str, index: int, name: str, *, account: int = 0) -> dict[str, Any]:
    place = {"wallet_id": wallet, "index": index, "bip32_account": account}
    return {"address": name, "transactions": index, **place}


def balance_row(owner: str, name: str, token: str, *, unlocked: int, **others: int | None) -> dict[str, Any]:
    return {owner: name, "token_id": token, "unlocked_balance": unlocked, "transactions": 1} | others


def entry_row(wallet: str, number: int, moment: int, **others: Any) -> dict[str, Any]:
    row = {"wallet_id": wallet, "token_id": HATHOR_TOKEN, "tx_id": f"{number:064x}", "timestamp": moment}
    return row | {"balance": -(2**70), "voided": False} | others


async def test_wallets_say_what_they_hold(database: Database, browser: HathorBrowser) -> None:
    lock = {"locked_balance": 3, "timelock_expires": 2_000_000_000}
    await store(
        database,
        token=[{"id": TOKEN, "name": "A token", "symbol": "TKN"}],
        wallet=[wallet_row("a"), wallet_row("b")],
        address=[address_row("a", number, f"H{number}") for number in range(3)],
        tx_output=[
            {
                "tx_id": "1",
                "index": 0,
                "token_id": HATHOR_TOKEN,
                "address": "H1",
                "value": 3,
                "authorities": 0,
            }
            | {"locked": True, "timelock": 2_000_000_000}
        ],
        wallet_balance=[
            balance_row("wallet_id", "a", TOKEN, unlocked=5, locked_balance=0, timelock_expires=None),
            balance_row("wallet_id", "a", HATHOR_TOKEN, unlocked=2**70, **lock),
        ],
    )
    first, second = (await browser.page("", "", 10)).items
    assert (first.id, first.keys, first.parts, first.created_at_ms) == (
        "a",
        Keys.WATCHED,
        3,
        1_700_000_000_000,
    )
    shown = await browser.show("a")
    for one in (first, shown):
        assert one.holdings is not None
        coin, token = one.holdings
        assert (coin.asset, coin.unit, coin.decimals, coin.available_raw) == ("", "HTR", 2, 2**70)
        assert (coin.locked_raw, coin.locked_until_ms) == (3, 2_000_000_000_000)
        assert (token.asset, token.unit, token.available_raw) == (TOKEN, "TKN", 5)
    assert ("xpub", XPUB) in shown.facts
    assert "secret" not in repr(shown)
    assert (second.parts, second.holdings) == (0, [])


async def test_a_wallet_is_found_by_its_name_its_address_or_its_key(
    database: Database, browser: HathorBrowser
) -> None:
    own = wallet_id(XPUB)
    await store(
        database,
        wallet=[wallet_row("shop"), wallet_row(own)],
        address=[address_row("shop", 0, "HAddress")],
    )
    for search, found in (("HAddress", ["shop"]), (XPUB, [own]), ("HOP", ["shop"]), ("é", [])):
        assert [one.id for one in (await browser.page(search, "", 10)).items] == found
    with pytest.raises(NotFound):
        await browser.show("é")


async def test_addresses_come_in_pages_with_what_they_hold(
    database: Database, browser: HathorBrowser
) -> None:
    await store(
        database,
        wallet=[wallet_row("a")],
        address=[
            *(address_row("a", number, f"H{number}") for number in range(3)),
            address_row("a", 0, "shielded", account=2),
        ],
        address_balance=[
            balance_row("address", "H1", f"{number:02}", unlocked=number)
            for number in range(MAX_HOLDINGS + 2)
        ],
    )
    found, after = list[Any](), ""
    while True:
        page = await browser.parts("a", after, 3)
        found += page.items
        if page.after is None:
            break
        after = page.after
    assert [one.id for one in found] == ["H0", "H1", "H2", "shielded"]
    assert [len(one.holdings) for one in found] == [0, MAX_HOLDINGS, 0, 0]
    assert [one.has_more_holdings for one in found] == [False, True, False, False]


async def test_history_is_of_one_asset_newest_first(database: Database, browser: HathorBrowser) -> None:
    transaction = {"version": 1, "voided": False, "first_block": "aa"}
    await store(
        database,
        wallet=[wallet_row("a")],
        transaction=[{"tx_id": f"{5:064x}", "timestamp": 5, **transaction}],
        wallet_tx_history=[
            *(entry_row("a", number, number // 2) for number in range(8) if number != 5),
            entry_row("a", 5, 5),
            entry_row("a", 9, 0, voided=True),
            entry_row("a", 5, 5, token_id=TOKEN, balance=4),
        ],
    )
    found, after = list[Any](), ""
    while True:
        page = await browser.history("a", "", after, 2)
        found += page.items
        if page.after is None:
            break
        after = page.after
    order = [(one.at_ms, one.id) for one in found]
    assert (len(order), order) == (9, sorted(order, reverse=True))
    assert (found[0].kind, found[0].state, found[0].amount_raw) == ("TRANSACTION", "CONFIRMED", -(2**70))
    assert {one.state for one in found[1:]} == {"UNCONFIRMED", "VOIDED"}
    (token,) = (await browser.history("a", TOKEN, "", 5)).items
    assert (token.asset, token.amount_raw) == (TOKEN, 4)


async def test_a_wrong_place_or_wallet_is_told(database: Database, browser: HathorBrowser) -> None:
    await store(database, wallet=[wallet_row("a")])
    for refused in (browser.parts("a", "x", 5), browser.history("a", "", "x", 5)):
        with pytest.raises(InvalidInput):
            await refused
    for missing in (browser.parts("b", "", 5), browser.history("b", "", "", 5)):
        with pytest.raises(NotFound):
            await missing


async def test_a_page_reads_as_much_of_many_wallets_as_of_few(
    database: Database, clock: ManualClock, database_url: URL
) -> None:
    async def fill(numbers: range) -> None:
        names = [f"{number:064}" for number in numbers]
        await store(
            database,
            wallet=[wallet_row(name) for name in names],
            address=[address_row(name, 0, f"H{name[-8:]}") for name in names],
            wallet_balance=[balance_row("wallet_id", name, HATHOR_TOKEN, unlocked=1) for name in names],
            wallet_tx_history=[entry_row(name, int(name), 1) for name in names],
        )

    async def measure(number: int) -> int:
        name = f"{number:064}"

        async def work(database: Database) -> None:
            browser = HathorBrowser(database, clock, LEDGER.coin)
            assert len((await browser.page("", name, 50)).items) == 50
            assert len((await browser.page("H00000060", "", 50)).items) == 1
            await browser.show(name)
            await browser.parts(name, "", 50)
            await browser.history(name, "", "", 50)

        return await rows_read(database_url, work)

    await fill(range(200))
    few = await measure(100)
    await fill(range(200, MANY))
    many = [await measure(number) for number in (100, MANY - 60)]
    assert max(many) < 1.2 * few, (few, many)
