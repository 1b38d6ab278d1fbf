"""The console in a real browser, judged by the browser itself and by axe-core."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from admin.test_wallets import fill
from console.pages.test_pages_of_payments import NEEDS_ONE, park, store
from strongroom.console.live.streams import RECHECK_S
from strongroom.core.intents.intent import Accepted
from strongroom.core.intents.store import load_intent, record_accepted
from strongroom.core.security.access import ADMIN, OPERATOR
from support.admin_office import Office, running_office
from support.clock import ManualClock
from support.real_browser import Screen, running_browser, screen

pytestmark = pytest.mark.anyio
BOTH = ("atto", "hathor")
FIRST_PAINT = 100_000


@pytest.fixture
async def office(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Office]:
    async with running_office(tmp_path, clock) as office:
        yield office


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with running_browser() as browser:
        yield browser


def url(office: Office, path: str) -> str:
    return f"{str(office.client.base_url).rstrip('/')}{path}"


async def sign_in(office: Office, shown: Screen, token: str) -> None:
    await shown.page.goto(url(office, "/"))
    await shown.page.get_by_label("API token").fill(token)
    await shown.page.get_by_role("button", name="Sign in").click()
    await expect(shown.page).to_have_url(url(office, "/"))


async def accept(office: Office, number: int) -> None:
    def work(connection: Any) -> None:
        intent = load_intent(connection, number.to_bytes(32, "big"))
        assert intent is not None
        record_accepted(connection, intent, Accepted(), office.clock.now_ms())

    await office.ledgers["atto"].database.write(work)


async def test_an_operators_morning(office: Office, browser: Browser) -> None:
    """Signs in, finds a payment, watches it being confirmed, approves another, and is signed out when the token is revoked."""
    shown = await screen(browser)
    page = shown.page
    payment = await store(office, "atto", 7, request_id="order-7")
    await office.ledgers["atto"].rules.add(OPERATOR, "ask", NEEDS_ONE)
    waiting = await park(office, await office.token("atto:send", name="shop"))
    token = await office.token(ADMIN, on=BOTH, name="boss")
    await sign_in(office, shown, token)
    await expect(page.get_by_role("heading", level=1)).to_contain_text("One request waits for approval.")

    await page.get_by_role("link", name="Payments", exact=True).click()
    await page.get_by_label("Find a payment").fill("order-7")
    async with page.expect_request("**/live?of=payment&*"):
        await page.get_by_role("button", name="Find").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("in flight")
    await office.clock.sleepers(2)
    await accept(office, 7)
    office.clock.advance(1)
    await expect(page.get_by_role("heading", level=1)).to_contain_text("confirmed")
    await expect(page.get_by_role("listitem").filter(has_text="The ledger has it")).to_be_visible()
    assert payment in await page.content()

    await page.get_by_role("link", name="Approvals").click()
    await page.get_by_role("button", name="Approve").click()
    await expect(page.get_by_text(f"You approved {waiting}.")).to_be_visible()

    await office.clock.sleepers(2)
    for name in BOTH:
        await office.ledgers[name].tokens.revoke(OPERATOR, token.split("_")[1])
    office.clock.advance(RECHECK_S + 1)
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert shown.complaints == []


async def test_what_a_person_typed_and_opened_stays_when_the_page_changes(
    office: Office, browser: Browser
) -> None:
    shown = await screen(browser)
    page = shown.page
    await office.ledgers["atto"].rules.add(OPERATOR, "ask", NEEDS_ONE)
    shop = await office.token("atto:send", name="shop")
    await park(office, shop)
    await sign_in(office, shown, await office.token(ADMIN, on=BOTH))
    async with page.expect_request("**/live?of=approvals"):
        await page.goto(url(office, "/approvals"))
    await page.get_by_text("Exactly what is approved").click()
    await page.get_by_label("Reason").fill("who is this?")
    await office.clock.sleepers(2)
    await park(office, shop, amount_raw=6_000_000_000)
    office.clock.advance(1)
    await expect(page.get_by_role("heading", level=1)).to_have_text("2 requests wait for approval")
    assert [await one.input_value() for one in await page.get_by_label("Reason").all()].count(
        "who is this?"
    ) == 1
    assert await page.locator("details[open]").count() == 1
    assert await page.locator("article:has(details[open]) input[name=reason]").input_value() == "who is this?"
    await expect(page.locator("article:has(details[open])")).to_contain_text("5 ATTO")
    assert shown.complaints == []


async def test_the_whole_way_without_scripts(office: Office, browser: Browser) -> None:
    context = await browser.new_context(java_script_enabled=False)
    shown = Screen(await context.new_page())
    await store(office, "atto", 7, request_id="order-7")
    await sign_in(office, shown, await office.token(ADMIN, on=BOTH))
    await shown.page.get_by_role("link", name="Payments", exact=True).click()
    await shown.page.get_by_label("Find a payment").fill("order-7")
    await shown.page.get_by_role("button", name="Find").click()
    await expect(shown.page.get_by_role("heading", level=1)).to_contain_text("in flight")


@pytest.mark.parametrize(
    ("width", "theme"),
    [
        (360, "light"),
        (1440, "dark"),
        pytest.param(360, "dark", marks=pytest.mark.slow),
        pytest.param(1440, "light", marks=pytest.mark.slow),
    ],
)
async def test_everybody_can_use_every_page(office: Office, browser: Browser, width: int, theme: str) -> None:
    for number in range(1, 5):
        await store(office, BOTH[number % 2], number, destination="a" * 61)
    await office.ledgers["atto"].rules.add(OPERATOR, "ask", NEEDS_ONE)
    await park(office, await office.token("atto:send", name="shop"))
    await fill(office)
    shown = await screen(browser, width=width, theme=theme)
    await shown.page.goto(url(office, "/sign-in"))
    found = {"/sign-in": await shown.axe()}
    await sign_in(office, shown, await office.token(ADMIN, on=BOTH))
    wide = []
    for path in (
        "/",
        "/payments",
        f"/payments/find?id={3:064x}",
        "/approvals",
        "/freezes",
        "/wallets",
        "/wallets/one?ledger=hathor&id=aa",
        "/webhooks",
        "/audit",
        "/audit/verification",
        "/keys",
        "/errors/sealed",
        "/nothing",
    ):
        await shown.page.goto(url(office, path))
        found[path] = await shown.axe()
        if await shown.is_too_wide():
            wide.append(path)
    assert {path: faults for path, faults in found.items() if faults} == {}
    assert wide == []
    assert [one for one in shown.complaints if "404" not in one] == []


@pytest.mark.slow
async def test_the_first_paint_is_small(office: Office, browser: Browser) -> None:
    shown = await screen(browser)
    await sign_in(office, shown, await office.token(ADMIN, on=BOTH))
    for number in range(1, 60):
        await store(office, "atto", number, destination="a" * 61)
    await shown.page.goto(url(office, "/payments"), wait_until="load")
    sizes: list[int] = await shown.page.evaluate(
        "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
        ".map(one => one.decodedBodySize)"
    )
    assert len(sizes) >= 4
    assert sum(sizes) < FIRST_PAINT
