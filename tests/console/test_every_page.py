"""What holds for every page of the console, whichever pages there are: it is read from the table of routes."""

from collections.abc import Iterator
from typing import Any

import pytest

from strongroom.admin.api.access import ANY
from strongroom.console.shield import POLICY
from strongroom.core.guard.state import FreezeScope
from strongroom.core.security.access import ADMIN, ADMIN_SCOPES, OPERATOR
from support.admin_office import Office
from support.all_rows import all_rows
from support.console import Visitor
from support.route_table import Operation, operations_of

pytestmark = pytest.mark.anyio
BOTH = ("atto", "hathor")
VALUES = {
    "on": "atto",
    "approval": "x",
    "freeze": "x",
    "endpoint": "x",
    "payment": "x",
    "code": "x",
    "digest": "x",
    "name": "style.css",
}
"""What stands for the parameters of paths. A new page with a parameter of another name adds it here."""
LIVE = "/live"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{71993*79997}}"
EVALUATED = str(71993 * 79997)


def operations(office: Office) -> list[Operation]:
    application: Any = office.application
    return operations_of(application.console)


def guarded(office: Office) -> Iterator[Operation]:
    return (one for one in operations(office) if not one.is_public)


def shields(headers: Any) -> list[str]:
    """What is missing of the headers that every answer has."""
    wanted = {
        "content-security-policy": POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }
    return [name for name, value in wanted.items() if headers.get(name) != value]


async def test_every_answer_has_the_policy_and_is_kept_by_nobody(office: Office, visitor: Visitor) -> None:
    await visitor.sign_in(await office.token(ADMIN, on=BOTH))
    visitor.client.follow_redirects = False
    paths = ["/no-such-page", "/assets/x/style.css", *(one.path_with(VALUES) for one in operations(office))]
    paths.remove(LIVE)  # its answer has no end
    async with visitor.client.stream("GET", LIVE) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert shields(answer.headers) == []
    for path in paths:
        for page in (await visitor.open(path), await visitor.send(path, {})):
            assert shields(page.headers) == [], path
            assert page.status < 500, path
            assert page.headers["cache-control"] == "no-store", path
    assert "unsafe" not in POLICY


async def test_assets_are_kept_for_ever_and_name_no_other_host(office: Office, visitor: Visitor) -> None:
    del office
    page = await visitor.open("/sign-in")
    links = [part.split('"')[0] for part in page.html.split('"/assets/')[1:]]
    assert len(links) >= 4
    for link in links:
        asset = await visitor.open(f"/assets/{link}")
        assert asset.status == 200
        assert "immutable" in asset.headers["cache-control"]
        assert shields(asset.headers) == []
    assert "//" not in page.html.replace("http://www.w3.org/2000/svg", "")


async def test_nobody_opens_a_page(office: Office, visitor: Visitor) -> None:
    pages = list(guarded(office))
    assert pages
    for one in pages:
        path = one.path_with(VALUES)
        page = await (visitor.open(path) if one.method in {"GET", "HEAD"} else visitor.send(path, {}))
        assert page.url == "/sign-in", one.name


async def test_who_lacks_the_scope_of_a_page_is_refused(office: Office, visitor: Visitor) -> None:
    for one in guarded(office):
        if one.scope == ANY:
            continue
        others = [scope for scope in ADMIN_SCOPES if scope not in {ADMIN, one.scope}]
        page = await visitor.sign_in(await office.token(*others, on=BOTH))
        form_token = page.form("/sign-out").fields["form_token"]
        path = one.path_with(VALUES)
        page = await (
            visitor.open(path)
            if one.method in {"GET", "HEAD"}
            else visitor.send(path, {"form_token": form_token})
        )
        assert page.status == 403, one.name
        visitor.client.cookies.clear()


async def test_every_other_page_names_a_scope(office: Office) -> None:
    assert {one.name for one in guarded(office) if one.scope not in {*ADMIN_SCOPES, ANY}} == set()


async def test_no_foreign_form_does_anything(office: Office, visitor: Visitor) -> None:
    page = await visitor.sign_in(await office.token(ADMIN, on=BOTH))
    form_token = page.form("/sign-out").fields["form_token"]
    before = {name: await all_rows(office.ledgers[name].database, but=USES) for name in BOTH}
    foreign: list[tuple[dict[str, str], dict[str, str]]] = [
        ({"form_token": form_token}, {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}),
        ({"form_token": form_token}, {"Origin": "null"}),
        ({"form_token": form_token}, {"Sec-Fetch-Site": "same-site"}),
        ({}, {}),
        ({"form_token": "0" * 64}, {}),
        ({"form_token": "é"}, {}),
    ]
    for one in guarded(office):
        if one.method != "POST":
            continue
        for fields, headers in foreign:
            page = await visitor.send(one.path_with(VALUES), fields, **headers)
            assert page.status in {400, 403}, (one.name, headers)
        bare = await visitor.client.post(one.path_with(VALUES), data={"form_token": form_token})
        assert bare.status_code == 403, one.name
    after = {name: await all_rows(office.ledgers[name].database, but=USES) for name in BOTH}
    assert before == after
    assert (await visitor.open("/")).url == "/", "still signed in"


USES = frozenset({"strongroom_token_use"})


async def test_reading_changes_nothing(office: Office, visitor: Visitor) -> None:
    await visitor.sign_in(await office.token(ADMIN, on=BOTH))
    before = {name: await all_rows(office.ledgers[name].database, but=USES) for name in BOTH}
    for one in guarded(office):
        if one.method == "GET" and one.path != LIVE:
            await visitor.open(one.path_with(VALUES))
    after = {name: await all_rows(office.ledgers[name].database, but=USES) for name in BOTH}
    assert before == after


async def test_hostile_text_is_text_on_every_page(office: Office, visitor: Visitor) -> None:
    """In the caller's name, which every page shows, and in what a page is asked."""
    await visitor.sign_in(await office.token(ADMIN, on=BOTH, name=HOSTILE))
    for one in operations(office):
        if one.method != "GET" or one.path == LIVE:
            continue
        page = await visitor.open(one.path_with({**VALUES, "code": "%3Cscript%3Ealert(1)"}))
        if page.headers.get("content-disposition", "").startswith("attachment"):
            continue  # no browser shows it as a page
        assert "<script>alert" not in page.html, one.name
        assert "<img" not in page.html, one.name
        if page.url != "/sign-in" and "text/html" in page.headers.get("content-type", ""):
            assert EVALUATED not in page.html, one.name
    for path in (
        "/sign-in?why=%3Cscript%3Ealert(1)%3C/script%3E&next=%22%3E%3Cimg%3E",
        "/%3Cscript%3Ealert(1)",
    ):
        page = await visitor.open(path)
        assert "<script>alert" not in page.html
        assert "<img" not in page.html


async def test_what_is_away_is_told_and_keeps_the_rest(office: Office, visitor: Visitor) -> None:
    await visitor.sign_in(await office.token(ADMIN, on=BOTH))
    office.ledgers["hathor"]._is_prepared = False  # type: ignore[attr-defined]
    page = await visitor.open("/")
    assert page.status == 200
    assert page.heading == "The database of Hathor does not answer."
    office.ledgers["atto"]._is_prepared = False  # type: ignore[attr-defined]
    page = await visitor.open("/")
    assert page.status == 503
    assert "ledger_away" in page.text
    assert visitor.client.cookies, "a database that is away signs nobody out"


async def test_a_link_on_another_page_leads_here_without_the_cookie(office: Office, visitor: Visitor) -> None:
    await visitor.sign_in(await office.token(ADMIN, on=BOTH))
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    cookie = dict(visitor.client.cookies)
    visitor.client.cookies.clear()  # as browsers do: it is SameSite=Strict
    page = await visitor.open("/", **link)
    assert (page.status, page.heading) == (200, "Opening the page")
    visitor.client.cookies.update(cookie)
    assert (await visitor.open("/")).url == "/"
    framed = await visitor.open("/", **{**link, "Sec-Fetch-Dest": "iframe"})
    assert framed.status == 403


async def test_the_api_takes_no_form_and_no_cookie(office: Office, visitor: Visitor) -> None:
    await visitor.sign_in(await office.token(ADMIN, on=BOTH))
    assert (await visitor.open("/admin/v1/me")).status == 401
    assert (await visitor.send("/admin/v1/freeze", {"reason": "x"})).status == 415


async def test_the_theme_is_chosen_without_scripts(visitor: Visitor) -> None:
    page = await visitor.open("/sign-in")
    page = await visitor.submit(page.form("/theme"), theme="dark")
    assert 'data-theme="dark"' in page.html
    page = await visitor.submit(page.form("/theme"), theme='"><script>')
    assert 'data-theme="dark"' in page.html


async def test_a_code_is_explained(visitor: Visitor) -> None:
    page = await visitor.open("/errors/sealed")
    assert "What to do" in page.text
    assert (await visitor.open("/errors/nothing-of-ours")).status == 200


async def test_a_frozen_token_looks_on(office: Office, visitor: Visitor) -> None:
    await visitor.sign_in(await office.token(ADMIN, on=("atto",), name="boss"))
    await office.ledgers["atto"].rules.freeze(OPERATOR, FreezeScope.TOKEN, "boss", "a theft")
    assert (await visitor.open("/")).status == 200
