"""Wallets: found, with what each holds; and one with its accounts and history."""

import pytest
from sqlalchemy import update

from admin.test_wallets import fill
from strongroom.hathor import tables as hathor
from support.admin_office import Office
from support.console import Visitor

pytestmark = pytest.mark.anyio
HOSTILE = "<script>alert(1)</script>"


async def test_wallets_of_all_ledgers_are_found(office: Office, boss: Visitor) -> None:
    page = await boss.open("/wallets")
    assert "There is no wallet yet. Make one" in page.text
    await fill(office)
    page = await boss.open("/wallets")
    for text in ("hot & cold", "aa", "Hathor", "its owner unlocks it", "its owner signs"):
        assert text in page.text
    page = await boss.open("/wallets?search=hot")
    assert "hot & cold" in page.text
    assert "Hathor 3" not in page.text
    assert "No wallet fits." in (await boss.open("/wallets?search=nobody")).text
    page = await boss.open("/wallets?ledger=hathor")
    assert "11,805,916,207,174,113,034.24" in page.text, "2**70 of two decimals, to the last digit"


async def test_one_wallet_shows_accounts_and_history(office: Office, boss: Visitor) -> None:
    await fill(office)
    page = await boss.open("/wallets/one?ledger=hathor&id=aa")
    assert page.heading == "aa"
    assert all(name in page.text for name in ("H0", "H1", "H2", "0.02"))
    assert "/payments?ledger=hathor&amp;wallet=aa" in page.html
    page = await boss.open("/wallets/one?ledger=atto&id=hot+%26+cold")
    assert "Nothing happened yet." in page.text
    assert (await boss.open("/wallets/one?ledger=atto&id=nobody")).status == 404
    assert (await boss.open("/wallets/one")).status == 400


async def test_a_token_s_name_is_text(office: Office, boss: Visitor) -> None:
    await fill(office)
    rename = update(hathor.wallet).where(hathor.wallet.c.id == "bb").values(id=HOSTILE)
    await office.ledgers["hathor"].database.write(lambda connection: connection.execute(rename))
    page = await boss.open("/wallets?ledger=hathor")
    assert HOSTILE not in page.html
    assert "&lt;script&gt;" in page.html


async def test_without_the_scope_there_is_no_page(office: Office, visitor: Visitor) -> None:
    await visitor.sign_in(await office.token("admin:payments", on=("atto",)))
    assert "Wallets" not in (await visitor.open("/")).text
    assert (await visitor.open("/wallets")).status == 403
    assert (await visitor.open("/wallets/one?ledger=atto&id=cold")).status == 403
