"""Keys: how old each version is, what needs it, and a change that asks first."""

import pytest

from strongroom.core.security.access import OPERATOR
from strongroom.core.security.custody.custody import Custody
from support.admin_office import Office
from support.console import Visitor

pytestmark = pytest.mark.anyio
ROTATE = "/keys/atto/rotate"


def custody_of(office: Office) -> Custody:
    custody = office.ledgers["atto"].custody
    assert custody is not None
    return custody


async def test_the_key_is_changed_after_a_question(office: Office, boss: Visitor) -> None:
    office.clock.advance(3 * 3_600)
    page = await boss.open("/keys")
    assert page.heading == "Key-encryption keys"
    assert "Version 1 0 active 3 h ago a variable or a file" in page.text
    assert "Hathor holds no keys: its clients sign." in page.text
    page = await boss.submit(page.form(ROTATE))
    assert page.heading == "Change the key-encryption key of Atto?"
    assert len(await custody_of(office).rotation().versions()) == 1
    page = await boss.submit(page.form(ROTATE))
    assert "Version 2 of Atto's key is active." in page.text
    assert page.heading == "The key of Atto is being changed."
    assert "0 of 0 rows are sealed under the new key" in page.text
    assert not page.has_form(ROTATE), "one change at a time"
    await custody_of(office).carry_on()
    page = await boss.open("/keys")
    assert page.heading == "Key-encryption keys"
    assert "Version 1 0 retired" in page.text
    rows = [row[:2] for row in await office.audit() if row[1] == "key.rotate"]
    assert rows == [("token:boss", "key.rotate")]


async def test_a_sealed_ledger_says_that_it_is_not_known(office: Office, boss: Visitor) -> None:
    await custody_of(office).seal(OPERATOR)
    page = await boss.open("/keys")
    assert "Version 1 not known active" in page.text
    assert "unseal" in page.text
    assert not page.has_form(ROTATE)
    form_token = page.form("/sign-out").fields["form_token"]
    refused = await boss.send(ROTATE, {"form_token": form_token, "sure": "yes"})
    assert (refused.status, "sealed" in refused.text) == (503, True)


async def test_a_database_that_is_away_is_told(office: Office, boss: Visitor) -> None:
    office.ledgers["atto"]._is_prepared = False  # type: ignore[attr-defined]
    page = await boss.open("/keys")
    assert page.status == 200
    assert "The keys of Atto cannot be shown" in page.text


async def test_who_only_reads_sees_no_button_and_forges_none(office: Office, visitor: Visitor) -> None:
    page = await visitor.sign_in(await office.token("admin:read", on=("atto", "hathor")))
    form_token = page.form("/sign-out").fields["form_token"]
    page = await visitor.open("/keys")
    assert "Version 1" in page.text
    assert not page.has_form(ROTATE)
    forged = await visitor.send(ROTATE, {"form_token": form_token, "sure": "yes"})
    assert (forged.status, "scope_missing" in forged.text) == (403, True)
    assert len(await custody_of(office).rotation().versions()) == 1


async def test_who_sees_no_keys_is_told_why(office: Office, visitor: Visitor) -> None:
    await visitor.sign_in(await office.token("admin", on=("hathor",)))
    page = await visitor.open("/keys")
    assert "No ledger that you see holds keys." in page.text
