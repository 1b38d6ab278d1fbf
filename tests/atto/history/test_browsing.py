"""Wallets as operators read them, from rows as the service stores them."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from strongroom.atto import tables
from strongroom.atto.definition import LEDGER
from strongroom.atto.history.browsing import AttoBrowser
from strongroom.atto.protocol import Address, BlockType
from strongroom.core.errors import InvalidInput, NotFound
from strongroom.core.ledger.browsing.browser import MAX_PARTS
from strongroom.core.ledger.browsing.records import Keys
from strongroom.core.storage.database import Database
from support.rows_read import rows_read
from support.schema import Schemas

pytestmark = pytest.mark.anyio

MANY = 10_000
MOST_RAW = 2**64 - 1
MADE_MS = 1_795_251_420_000
MADE = datetime.fromtimestamp(MADE_MS / 1000, UTC).replace(tzinfo=None)


@pytest.fixture
async def database(database_url: URL, schemas: Schemas) -> AsyncIterator[Database]:
    schemas.fill_new(database_url, [LEDGER.revisions])
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
def browser(database: Database) -> AttoBrowser:
    return AttoBrowser(database, LEDGER.coin)


def address(number: int) -> Address:
    return Address(public_key=number.to_bytes(32, "big"))


def wallet_row(name: str, *, key: bytes | None = b"k") -> dict[str, Any]:
    row = {"name": name, "version": 0, "encrypted_entropy": b"e", "encrypted_encryption_key": key}
    return row | {"persisted_at": MADE, "updated_at": MADE}


def account_row(wallet: str, index: int, number: int, **others: Any) -> dict[str, Any]:
    state = {"version": 0, "height": 1, "balance": 0, "timestamp_ms": 1, "entry_height": 1}
    names = {"address": address(number).path, "public_key": address(number).public_key, "pending": None}
    place = {"wallet_name": wallet, "account_index": index, "origin": "CREATED", "disabled": False}
    return names | place | state | {"label": None, "representative": None} | others


def entry_row(wallet: str, number: int, height: int, **others: Any) -> dict[str, Any]:
    row = {"address": address(number).path, "height": height, "hash": height.to_bytes(32, "big")}
    sums = {"previous_balance": 10 * height - 10, "balance": 10 * height, "timestamp_ms": height // 2}
    kind = {"block_type": BlockType.RECEIVE.value, "subject": (9).to_bytes(32, "big")}
    return row | sums | kind | {"wallet_name": wallet} | others


async def store(database: Database, **rows: Sequence[dict[str, Any]]) -> None:
    def work(connection: Connection) -> None:
        for name, each in rows.items():
            connection.execute(getattr(tables, name).insert(), each)

    await database.write(work)


async def names(browser: AttoBrowser, search: str, limit: int = 100) -> list[str]:
    found, after = list[str](), ""
    while True:
        page = await browser.page(search, after, limit)
        found += [one.id for one in page.items]
        if page.after is None:
            return found
        after = page.after


async def test_wallets_say_what_they_hold(database: Database, browser: AttoBrowser) -> None:
    await store(
        database,
        wallet=[wallet_row("cold", key=None), wallet_row("hot"), wallet_row("nothing")],
        chain=[
            account_row("hot", 0, 1, balance=MOST_RAW),
            account_row("hot", 1, 2, balance=MOST_RAW),
            account_row("cold", 0, 3, balance=7),
        ],
    )
    cold, hot, nothing = (await browser.page("", "", 10)).items
    assert [(one.id, one.keys, one.parts) for one in (cold, hot, nothing)] == [
        ("cold", Keys.LOCKED, 1),
        ("hot", Keys.HELD, 2),
        ("nothing", Keys.HELD, 0),
    ]
    for one, raw in ((cold, 7), (hot, 2 * MOST_RAW), (nothing, 0)):
        assert one.holdings is not None
        (held,) = one.holdings
        assert (held.available_raw, held.unit, held.decimals, held.asset) == (raw, "ATTO", 9, "")
        assert one.created_at_ms == MADE_MS
        assert await browser.show(one.id) == one


async def test_a_wallet_is_found_by_a_part_of_its_name_or_by_an_account(
    database: Database, browser: AttoBrowser
) -> None:
    await store(
        database,
        wallet=[wallet_row(name) for name in ("Shop", "shopping", "till", "50%", "Ünion")],
        chain=[account_row("till", 0, 1)],
    )
    assert sorted(await names(browser, "SHOP", limit=1)) == ["Shop", "shopping"]
    assert await names(browser, "%") == ["50%"]
    assert await names(browser, "ünion") == ["Ünion"]
    assert await names(browser, address(1).path) == await names(browser, address(1).uri) == ["till"]
    assert await names(browser, address(2).path) == await names(browser, "_") == []
    with pytest.raises(NotFound):
        await browser.show("SHOPPING")


async def test_accounts_say_what_they_wait_for(database: Database, browser: AttoBrowser) -> None:
    sender = {"sender": bytes(32), "timestamp_ms": 1, "version": 0}
    await store(
        database,
        wallet=[wallet_row("hot")],
        chain=[
            account_row("hot", 0, 1, balance=5, label="till", representative=bytes(32)),
            account_row("hot", 1, 2, pending=b"\xab" * 32, disabled=True),
        ],
        receivable=[
            {"hash": bytes([number]) * 32, "address": address(1).path, "amount": MOST_RAW, **sender}
            for number in (1, 2)
        ],
    )
    page = await browser.parts("hot", "", 1)
    (first,) = page.items
    assert page.after is not None
    assert first.holdings is not None
    held = first.holdings[0]
    assert (first.id, first.index, first.label, first.waits_for) == (address(1).path, 0, "till", None)
    assert (held.available_raw, held.incoming_raw) == (5, 2 * MOST_RAW)
    assert ("receivables", "2") in first.facts
    (second,) = (await browser.parts("hot", page.after, 1)).items
    assert second.waits_for == f"the outcome of the block {'AB' * 32}"
    assert ("disabled", "yes") in second.facts


async def test_history_comes_in_pages_newest_first(database: Database, browser: AttoBrowser) -> None:
    change = {"block_type": BlockType.CHANGE.value, "balance": 50, "previous_balance": 50}
    await store(
        database,
        wallet=[wallet_row("hot"), wallet_row("other")],
        entry=[
            *(entry_row("hot", number, height) for number in (1, 2) for height in range(1, 6)),
            entry_row("hot", 1, 6, **change),
            entry_row("other", 3, 1),
        ],
    )
    found, after = list[tuple[int, str, str]](), ""
    while True:
        page = await browser.history("hot", "", after, 3)
        found += [(one.at_ms, one.part or "", one.id) for one in page.items]
        if page.after is None:
            break
        after = page.after
    assert len(found) == 11
    assert found == sorted(found, reverse=True)
    newest, received = (await browser.history("hot", "", "", 2)).items
    assert (newest.kind, newest.amount_raw, newest.counterparty) == ("CHANGE", 0, None)
    assert ("representative", address(9).path) in newest.facts
    assert (received.kind, received.amount_raw, received.counterparty) == ("RECEIVE", 10, address(9).path)
    assert (await browser.history("hot", "another token", "", 5)).items == []


async def test_a_wrong_place_or_wallet_is_told(database: Database, browser: AttoBrowser) -> None:
    await store(database, wallet=[wallet_row("hot")])
    for refused in (browser.parts("hot", "x", 5), browser.history("hot", "", "1:2", 5)):
        with pytest.raises(InvalidInput):
            await refused
    for missing in (browser.parts("cold", "", 5), browser.history("cold", "", "", 5), browser.show("é")):
        with pytest.raises(NotFound):
            await missing


async def test_of_a_wallet_with_very_many_accounts_a_list_tells_no_sum(
    database: Database, browser: AttoBrowser
) -> None:
    await store(
        database,
        wallet=[wallet_row("big")],
        chain=[account_row("big", index, index + 1, balance=1) for index in range(MAX_PARTS + 1)],
    )
    (listed,) = (await browser.page("", "", 5)).items
    assert (listed.parts, listed.has_more_parts, listed.holdings) == (MAX_PARTS, True, None)
    shown = await browser.show("big")
    assert shown.holdings is not None
    assert (shown.parts, shown.holdings[0].available_raw) == (MAX_PARTS + 1, MAX_PARTS + 1)


async def test_a_page_reads_as_much_of_many_wallets_as_of_few(database: Database, database_url: URL) -> None:
    async def fill(numbers: range) -> None:
        wallets = [f"wallet-{number:05}" for number in numbers]
        await store(
            database,
            wallet=[wallet_row(name) for name in wallets],
            chain=[account_row(name, 0, number + 1) for number, name in zip(numbers, wallets, strict=True)],
            entry=[entry_row(name, number + 1, 1) for number, name in zip(numbers, wallets, strict=True)],
        )

    async def measure(name: str) -> int:
        async def work(database: Database) -> None:
            browser = AttoBrowser(database, LEDGER.coin)
            page = await browser.page("", name, 50)
            assert len(page.items) == 50
            await browser.page(address(60).path, "", 50)
            await browser.parts(name, "", 50)
            await browser.history(name, "", "", 50)

        return await rows_read(database_url, work)

    await fill(range(200))
    few = await measure("wallet-00100")
    await fill(range(200, MANY))
    many = [await measure(f"wallet-{number:05}") for number in (100, MANY - 60)]
    assert max(many) < 1.2 * few, (few, many)
