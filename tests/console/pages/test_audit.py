"""The audit trail as a person reads it: rows, files, and whether it is whole."""

import csv
import json

import pytest

from strongroom.core.guard.state import FreezeScope
from strongroom.core.security.access import OPERATOR
from support.admin_office import Office
from support.console import Visitor
from support.waiting import until_true

pytestmark = pytest.mark.anyio
HOSTILE = "=cmd()<script>alert(1)</script>"


async def freeze(office: Office) -> None:
    await office.ledgers["atto"].rules.freeze(OPERATOR, FreezeScope.TOKEN, "nobody", HOSTILE)


async def test_rows_are_shown_filtered_and_given_as_files(office: Office, boss: Visitor) -> None:
    await freeze(office)
    page = await boss.open("/audit?action=freeze")
    assert "nobody" in page.text
    assert "token.create" not in page.text
    assert "<script>alert" not in page.html
    lines = [json.loads(line) for line in (await boss.open("/audit.jsonl?action=freeze")).html.splitlines()]
    assert [one["action"] for one in lines] == ["freeze"]
    everything = await boss.open("/audit.csv?ledger=atto")
    assert everything.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    rows = [*csv.DictReader(everything.html.splitlines())]
    assert {row["ledger"] for row in rows} == {"atto"}
    assert len(rows) == len(await office.audit())
    empty = await boss.open("/audit?action=unfreeze")
    assert "nobody" not in empty.text


async def test_no_file_lacks_the_rows_of_a_ledger_that_is_away(office: Office, boss: Visitor) -> None:
    office.ledgers["hathor"]._is_prepared = False  # type: ignore[attr-defined]
    page = await boss.open("/audit.csv")
    assert page.status == 503
    assert "would lack the rows of Hathor" in page.text
    assert (await boss.open("/audit.csv?ledger=atto")).status == 200


async def test_a_verification_says_in_a_sentence_what_it_found(boss: Visitor) -> None:
    page = await boss.open("/audit/verification")
    assert "This process has not verified the trail of Atto yet." in page.text
    await boss.submit(page.form("/audit/atto/verify"))

    async def told() -> bool:
        return "The trail of Atto is whole" in (await boss.open("/audit/verification")).text

    await until_true(told)
