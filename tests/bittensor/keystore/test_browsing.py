"""Wallets as operators read them, from the vault, the folder of key files, or both."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from strongroom.bittensor import tables
from strongroom.bittensor.definition import LEDGER
from strongroom.bittensor.keystore.browsing import BittensorBrowser
from strongroom.bittensor.keystore.keyfile_folder import WalletFolder
from strongroom.bittensor.protocol.ss58 import encode_address
from strongroom.core.errors import InvalidInput, NotFound
from strongroom.core.intents.intent import Intent
from strongroom.core.intents.payments import Payments
from strongroom.core.intents.store import adopt
from strongroom.core.ledger.browsing.records import Keys
from strongroom.core.storage.database import Database
from support.clock import ManualClock
from support.rows_read import rows_read

pytestmark = pytest.mark.anyio

MANY = 10_000


@pytest.fixture
def browser(database: Database, clock: ManualClock, tmp_path: Path) -> BittensorBrowser:
    payments = Payments("bittensor", database, clock, LEDGER.executions())
    return BittensorBrowser(LEDGER, database, payments, WalletFolder(tmp_path / "wallets"))


def public(number: int) -> bytes:
    return number.to_bytes(32, "big")


def key_row(wallet: str, number: int, kind: str = "coldkey", name: str = "", **others: Any) -> dict[str, Any]:
    row = {
        "wallet": wallet,
        "kind": kind,
        "name": name,
        "public_key": public(number),
        "created_at_ms": number,
    }
    return row | {"sealed_secret": None, "proxy_for": None, "proxy_type": None} | others


async def store(database: Database, *rows: dict[str, Any]) -> None:
    await database.write(lambda connection: connection.execute(tables.key.insert(), rows).close())


def in_folder(folder: Path, wallet: str, *hotkeys: str) -> None:
    (folder / "wallets" / wallet / "hotkeys").mkdir(parents=True)
    (folder / "wallets" / wallet / "coldkeypub.txt").write_text("not readable")
    for name in hotkeys:
        (folder / "wallets" / wallet / "hotkeys" / name).write_text("not readable")


async def test_wallets_of_the_vault_and_of_the_folder_are_one_list(
    database: Database, browser: BittensorBrowser, tmp_path: Path
) -> None:
    await store(
        database,
        key_row("a", 1),
        key_row("c", 2),
        key_row("c", 3, "hotkey", "one", sealed_secret=b"sealed"),
        key_row("c", 4, "proxy", sealed_secret=b"sealed", proxy_for=public(2), proxy_type="Staking"),
    )
    in_folder(tmp_path, "b", "default")
    in_folder(tmp_path, "c", "one", "two")
    found, after = list[Any](), ""
    while True:
        page = await browser.page("", after, 1)
        found += page.items
        if page.after is None:
            break
        after = page.after
    assert [(one.id, one.keys, one.parts, one.created_at_ms) for one in found] == [
        ("a", Keys.WATCHED, 1, 1),
        ("b", Keys.HELD, 2, None),
        ("c", Keys.HELD, 4, 2),
    ]
    assert {one.holdings for one in found} == {None}
    assert ("coldkey", encode_address(public(2))) in found[2].facts
    assert ("proxy for", encode_address(public(2))) in found[2].facts
    assert "sealed" not in repr(found)
    keys, after = list[Any](), ""
    while True:
        part = await browser.parts("c", after, 2)
        keys += part.items
        if part.after is None:
            break
        after = part.after
    assert [(one.kind, one.label) for one in keys] == [
        ("coldkey", None),
        ("hotkey", "one"),
        ("hotkey", "two"),
        ("proxy", None),
    ]


async def test_a_wallet_is_found_by_a_part_of_its_name_or_by_a_key(
    database: Database, browser: BittensorBrowser
) -> None:
    await store(database, key_row("Validator", 1), key_row("miner", 2), key_row("miner", 3, "hotkey", "one"))
    for search, found in (("VALID", "Validator"), (encode_address(public(3)), "miner")):
        assert [one.id for one in (await browser.page(search, "", 10)).items] == [found]
    assert (await browser.page(encode_address(public(4)), "", 10)).items == []
    for missing in (browser.show("../x"), browser.parts("no", "", 5), browser.history("é", "", "", 5)):
        with pytest.raises(NotFound):
            await missing
    for refused in (
        browser.parts("miner", "x", 5),
        browser.history("miner", "", "1:x", 5),
        browser.history("miner", "", "1:aa", 5),
    ):
        with pytest.raises(InvalidInput):
            await refused


async def test_history_is_what_was_signed(database: Database, browser: BittensorBrowser) -> None:
    await store(database, key_row("a", 1))

    def work(connection: Connection) -> None:
        for number in range(5):
            adopt(
                connection,
                intent=Intent(
                    id=public(number),
                    account="5F",
                    slot=None,
                    kind="Balances.transfer",
                    payload=b"signed",
                    principal="operator",
                    request='{"amountRaw": "7", "destination": "bob"}' if number else "{}",
                    stage="pooled",
                    wallet="a",
                    created_at_ms=number // 2,
                ),
            )

    await database.write(work)
    found, after = list[Any](), ""
    while True:
        page = await browser.history("a", "", after, 2)
        found += page.items
        if page.after is None:
            break
        after = page.after
    assert [one.at_ms for one in found] == [2, 1, 1, 0, 0]
    assert sorted(one.id for one in found) == [f"0x{public(number).hex()}" for number in range(5)]
    assert {(one.amount_raw, one.counterparty) for one in found} == {(-7, "bob"), (None, None)}
    assert found[0].state == "OPEN"


async def test_a_page_reads_as_much_of_many_wallets_as_of_few(
    database: Database, clock: ManualClock, database_url: URL
) -> None:
    async def fill(numbers: range) -> None:
        await store(
            database,
            *(key_row(f"w{number:05}", number) for number in numbers),
            *(key_row(f"w{number:05}", MANY + number, "hotkey", "default") for number in numbers),
        )

    async def measure(number: int) -> int:
        name = f"w{number:05}"

        async def work(database: Database) -> None:
            browser = BittensorBrowser(
                LEDGER, database, Payments(LEDGER.name, database, clock, LEDGER.executions()), None
            )
            assert len((await browser.page("", name, 50)).items) == 50
            await browser.show(name)
            await browser.parts(name, "", 50)
            await browser.history(name, "", "", 50)

        return await rows_read(database_url, work)

    await fill(range(200))
    few = await measure(100)
    await fill(range(200, MANY))
    many = [await measure(number) for number in (100, MANY - 60)]
    assert max(many) < 1.2 * few, (few, many)
