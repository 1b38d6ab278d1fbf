"""Webhooks, as a person without scripts uses them: the secret once, replays, and questions before what hurts."""

import re

import pytest
from sqlalchemy import select, update

from strongroom.core.announcements import Announcement
from strongroom.core.webhooks.announcer import WebhookAnnouncer
from strongroom.core.webhooks.tables import event
from support.admin_office import Office
from support.clock import SeededEntropy
from support.console import Page, Visitor

pytestmark = pytest.mark.anyio
HOSTILE = "<script>alert(1)</script>"
URL = "https://shop.example/canary-path?key=canary-query"


async def add(boss: Visitor, name: str = "shop", **fields: str) -> Page:
    form = (await boss.open("/webhooks")).form("/webhooks/add")
    given = {"on": "atto", "name": name, "url": URL} | fields
    page = await boss.submit(form, **given)
    assert page.heading == "Add an endpoint of Atto?", page.text
    return await boss.submit(page.form("/webhooks/add"))


async def endpoint_path(office: Office) -> str:
    (one,) = await office.ledgers["atto"].webhooks.list()
    return f"/webhooks/atto/{one.endpoint.id}"


async def announce(office: Office, count: int, state: str = "dead") -> list[str]:
    """Queues events, which then are in this state. Returns the ids of the events."""
    atto = office.ledgers["atto"]
    announcer = WebhookAnnouncer("atto", office.clock, SeededEntropy(7))
    said = [
        Announcement(kind="freeze.began", stream="", wallet="", data={"reason": HOSTILE}, key=str(number))
        for number in range(count)
    ]
    await atto.database.write(lambda connection: announcer.announce(connection, said))
    await atto.database.write(
        lambda connection: connection.execute(
            update(event).values(state=state, trouble=HOSTILE, status=500, ended_at_ms=office.clock.now_ms())
        )
    )
    return [row.event for row in await atto.database.fetch_all(select(event.c.event))]


async def states(office: Office) -> list[str]:
    rows = await office.ledgers["atto"].database.fetch_all(select(event.c.state).order_by(event.c.id))
    return [row.state for row in rows]


async def test_nobody_is_told_of_anything_yet(boss: Visitor) -> None:
    page = await boss.open("/webhooks")
    assert page.heading == "No endpoints"
    assert "Nobody is told of anything. Add an endpoint" in page.text


async def test_the_secret_is_shown_once_and_the_url_never_again(office: Office, boss: Visitor) -> None:
    asked = await boss.submit(
        (await boss.open("/webhooks")).form("/webhooks/add"), on="atto", name="shop", url=URL
    )
    assert asked.heading == "Add an endpoint of Atto?"
    assert await office.ledgers["atto"].webhooks.list() == []
    made = await add(boss, events="payment.*, freeze.began", wallets="hot cold")
    assert (made.status, made.heading) == (201, "shop is added")
    (secret,) = re.findall(r'<code class="id">(.*?)</code>', made.html)
    (one,) = await office.ledgers["atto"].webhooks.list()
    assert one.endpoint.wanted.kinds == ("freeze.began", "payment.*")
    assert sorted(one.endpoint.wanted.wallets) == ["cold", "hot"]
    for path in ("/webhooks", await endpoint_path(office)):
        page = await boss.open(path)
        assert "https://shop.example/…" in page.text
        for canary in (secret, "canary"):
            assert canary not in page.html
    again = await boss.submit(asked.form("/webhooks/add"))
    assert (again.status, secret in again.html) == (409, False)
    assert "webhook_exists" in again.text
    assert (await office.audit())[-1][:2] == ("token:boss", "webhook.add")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"url": "http://shop.example/"}, "url_invalid"),
        ({"events": "nothing"}, "webhook_invalid"),
        ({"name": "x" * 65}, "webhook_invalid"),
    ],
)
async def test_what_is_wrong_says_what_to_mend(
    office: Office, boss: Visitor, fields: dict[str, str], code: str
) -> None:
    page = await add(boss, **fields)
    assert page.status == 400
    assert code in page.text
    assert "What to do" in page.text
    assert await office.ledgers["atto"].webhooks.list() == []


async def test_what_is_not_filled_in_is_not_asked_about(boss: Visitor) -> None:
    form = (await boss.open("/webhooks")).form("/webhooks/add")
    assert (await boss.submit(form, on="atto", name=" ", url=URL)).status == 400
    assert (await boss.submit(form, on="nowhere", name="x", url=URL)).status == 404


async def test_an_endpoint_that_hears_of_no_failure_is_warned_of(boss: Visitor) -> None:
    await add(boss, events="payment.confirmed")
    page = await boss.open("/webhooks")
    assert "but not of payment.failed and payment.unverified" in page.text
    await add(boss, "other", events="payment.*")
    assert (await boss.open("/webhooks")).text.count("but not of") == 1


async def test_one_dead_event_is_sent_again_at_once(office: Office, boss: Visitor) -> None:
    await add(boss)
    await announce(office, 2)
    page = await boss.open(await endpoint_path(office))
    assert "Dead 2" in page.text
    assert "<script>alert" not in page.html
    assert "&lt;script&gt;" in page.html
    form = next(one for one in page.forms if "event" in one.fields)
    page = await boss.submit(form)
    assert "1 event is sent again." in page.text
    assert sorted(await states(office)) == ["dead", "waiting"]


async def test_all_that_is_dead_is_sent_again_after_a_question(office: Office, boss: Visitor) -> None:
    await add(boss)
    await announce(office, 3)
    path = await endpoint_path(office)
    page = await boss.submit((await boss.open(path)).form(f"{path}/replay"))
    assert page.heading == "Replay all that is dead of shop?"
    assert await states(office) == ["dead"] * 3
    page = await boss.submit(page.form(f"{path}/replay"))
    assert "3 events are sent again." in page.text
    assert await states(office) == ["waiting"] * 3
    assert (await office.audit())[-1][:2] == ("token:boss", "webhook.replay")


async def test_deliveries_are_paged_and_filtered(office: Office, boss: Visitor) -> None:
    await add(boss)
    path = await endpoint_path(office)
    assert "Nothing was sent yet." in (await boss.open(path)).text
    ids = await announce(office, 60)
    first = await boss.open(f"{path}?state=dead")
    link = first.html.split('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    second = await boss.open(link)
    shown = re.findall(r'<span class="id">(.*?)</span>', first.html + second.html)
    assert sorted(shown) == sorted(ids)
    assert 'rel="next"' not in second.html
    assert "Nothing is delivered." in (await boss.open(f"{path}?state=delivered")).text
    for wrong in ("state=x", "before=x", "surprise=1"):
        assert (await boss.open(f"{path}?{wrong}")).status == 400, wrong


async def test_an_endpoint_is_paused_goes_on_and_is_removed(office: Office, boss: Visitor) -> None:
    await add(boss)
    webhooks, path = office.ledgers["atto"].webhooks, await endpoint_path(office)
    page = await boss.submit((await boss.open(path)).form(f"{path}/pause"))
    assert page.heading == "Pause shop?"
    assert (await webhooks.list())[0].endpoint.state == "active"
    page = await boss.submit(page.form(f"{path}/pause"))
    assert page.heading == "shop paused"
    page = await boss.submit(page.form(f"{path}/resume"))
    assert "shop goes on." in page.text
    page = await boss.submit(page.form(f"{path}/remove"))
    assert page.heading == "Remove shop?"
    assert len(await webhooks.list()) == 1
    page = await boss.submit(page.form(f"{path}/remove"))
    assert "shop is removed." in page.text
    assert await webhooks.list() == []
    gone = await boss.open(path)
    assert (gone.status, "webhook_not_found" in gone.text) == (404, True)


async def test_without_the_scope_there_is_no_page_and_no_forged_form(
    office: Office, boss: Visitor, visitor: Visitor
) -> None:
    await add(boss)
    await announce(office, 1)
    path = await endpoint_path(office)
    boss.client.cookies.clear()
    page = await visitor.sign_in(await office.token("admin:read", "admin:audit", on=("atto", "hathor")))
    assert 'href="/webhooks"' not in page.html
    form_token = page.form("/sign-out").fields["form_token"]
    assert (await visitor.open("/webhooks")).status == 403
    for action in ("/webhooks/add", *(f"{path}/{one}" for one in ("pause", "resume", "remove", "replay"))):
        forged = await visitor.send(
            action, {"form_token": form_token, "sure": "yes", "on": "atto", "name": "thief", "url": URL}
        )
        assert (forged.status, "scope_missing" in forged.text) == (403, True), action
    (one,) = await office.ledgers["atto"].webhooks.list()
    assert (one.endpoint.state, one.queue.dead) == ("active", 1)


async def test_who_has_one_ledger_sees_and_changes_no_other(office: Office, visitor: Visitor) -> None:
    await visitor.sign_in(await office.token("admin:webhooks", on=("hathor",)))
    page = await visitor.open("/webhooks")
    assert 'value="atto"' not in page.html
    form = page.form("/webhooks/add")
    forged = await visitor.submit(form, on="atto", name="thief", url=URL, sure="yes")
    assert forged.status == 403
    assert await office.ledgers["atto"].webhooks.list() == []
