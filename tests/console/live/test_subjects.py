"""Nobody is told that something happened on a ledger, or of a kind, where they may not look."""

import json
from functools import partial

import pytest

from strongroom.admin.estate import Estate
from strongroom.console.live.subjects import Sight, Subjects
from strongroom.core.guard.state import FreezeScope
from strongroom.core.intents.intent import Intent
from strongroom.core.intents.store import adopt
from strongroom.core.security.access import ADMIN, OPERATOR
from strongroom.core.security.credentials import Credentials
from support.admin_office import Office

pytestmark = pytest.mark.anyio
BOTH = ("atto", "hathor")
KEY = "invoice-9"


async def subjects_of(office: Office, token: str) -> Subjects:
    estate = Estate([*office.ledgers.values()], office.health, office.clock)
    credentials = Credentials(authorization=f"Bearer {token}", source="127.0.0.1")
    return Subjects(estate, Sight.of(await estate.identify(credentials, estate.names)))


async def seen(subjects: Subjects) -> list[bytes]:
    return [
        await subjects.overview(),
        await subjects.payments(),
        await subjects.payment(KEY),
        await subjects.approvals(),
    ]


async def pay(office: Office, ledger: str) -> None:
    intent = Intent(
        id=bytes(32),
        account="alice",
        slot=None,
        kind="SEND",
        payload=b"signed",
        principal="token:shop",
        request=json.dumps({"amountRaw": "1", "destination": "bob"}),
        stage="signed",
        wallet="hot",
        created_at_ms=office.clock.now_ms(),
        client_key=KEY,
    )
    await office.ledgers[ledger].database.write(partial(adopt, intent=intent))


async def test_a_payment_of_another_ledger_is_not_told(office: Office) -> None:
    of_one = await subjects_of(office, await office.token(ADMIN, on=("atto",)))
    of_both = await subjects_of(office, await office.token(ADMIN, on=BOTH))
    before_one, before_both = await seen(of_one), await seen(of_both)
    await pay(office, "hathor")
    await office.ledgers["hathor"].rules.freeze(OPERATOR, FreezeScope.LEDGER, "", "a theft")
    assert await seen(of_one) == before_one
    after = await seen(of_both)
    assert [was != now for was, now in zip(before_both, after, strict=True)] == [True, True, True, False]


async def test_a_payment_is_not_told_to_who_may_not_see_payments(office: Office) -> None:
    reader = await subjects_of(office, await office.token("admin:read", on=BOTH))
    before = await seen(reader)
    await pay(office, "atto")
    assert await seen(reader) == before
    await office.ledgers["atto"].rules.freeze(OPERATOR, FreezeScope.LEDGER, "", "a theft")
    assert (await seen(reader))[0] != before[0]
