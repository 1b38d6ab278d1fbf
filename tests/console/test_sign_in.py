"""A person signs in with a token, and is signed out by whatever ends the token."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from litestar import Request

from strongroom.admin.estate import Estate
from strongroom.console.cookies import Cookies
from strongroom.console.sign_ins import LINK_S, SignIns, decode_secret
from strongroom.core.coordination.rates import parse_rate
from strongroom.core.http.forwarded import TrustedProxies
from strongroom.core.security.access import ADMIN, OPERATOR
from strongroom.core.security.stored_tokens import TokenChange
from strongroom.core.storage import tables
from support.admin_office import SETTINGS, Office
from support.console import Visitor

pytestmark = pytest.mark.anyio
BOTH = ("atto", "hathor")
End = Callable[[Office, str], Awaitable[None]]


def cookie_of(visitor: Visitor) -> str:
    return next(value for name, value in visitor.client.cookies.items() if name == "strongroom")


async def test_nobody_sees_anything(visitor: Visitor) -> None:
    page = await visitor.open("/")
    assert (page.url, page.heading) == ("/sign-in", "Sign in")
    assert "Atto" not in page.text


async def test_a_token_signs_in_and_leads_back(office: Office, visitor: Visitor) -> None:
    page = await visitor.sign_in(await office.token(ADMIN, on=BOTH, name="boss"))
    assert (page.url, page.status) == ("/", 200)
    assert "boss" in page.text
    assert "Atto" in page.text
    assert "Hathor" in page.text


async def test_the_cookie_is_for_this_site_and_no_script(office: Office, visitor: Visitor) -> None:
    token = await office.token(ADMIN)
    form = (await visitor.open("/sign-in")).form("/sign-in")
    visitor.client.follow_redirects = False
    answer = await visitor.submit(form, token=token)
    cookie = answer.headers["set-cookie"]
    assert answer.status == 303
    assert cookie.startswith("strongroom=")
    assert {"HttpOnly", "Path=/", "SameSite=strict"} <= {part.strip() for part in cookie.split(";")}
    assert "Domain" not in cookie
    assert "Secure" not in cookie  # this is http
    assert token.rpartition("_")[2] not in cookie


async def test_behind_a_trusted_proxy_with_tls_the_cookie_is_secure_and_bound_to_the_host() -> None:

    scope: Any = {
        "type": "http",
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "headers": [(b"x-forwarded-proto", b"https")],
    }
    request: Request[Any, Any, Any] = Request(scope)
    assert not Cookies(TrustedProxies()).is_secure(request)
    cookie = Cookies(TrustedProxies(count=1)).session(request, "x", 5)
    assert (cookie.key, cookie.secure, cookie.path, cookie.domain) == ("__Host-strongroom", True, "/", None)


async def test_the_database_has_neither_the_token_nor_the_cookie(office: Office, visitor: Visitor) -> None:
    token = await office.token(ADMIN, on=BOTH)
    await visitor.sign_in(token)
    cookie = cookie_of(visitor)
    for name in BOTH:
        (row,) = await office.ledgers[name].database.fetch_all(tables.session.select())
        stored = row.id + row.sealed
        assert token.encode() not in stored
        assert cookie.encode() not in stored


@pytest.mark.parametrize("wrong", ["", "x", "sr_0123456789abcdef_" + "a" * 52, "é", "a b", "x" * 700])
async def test_what_is_no_token_is_refused(visitor: Visitor, wrong: str) -> None:
    page = await visitor.sign_in(wrong)
    assert page.status in {400, 401}
    assert page.heading == "Sign in"
    assert not visitor.client.cookies


async def test_a_wallets_token_does_not_sign_in(office: Office, visitor: Visitor) -> None:
    page = await visitor.sign_in(await office.token("*", "atto:*", "admin:*"))
    assert page.status == 403
    assert "no scope of the admin API" in page.text


async def test_wrong_tokens_count_as_those_of_programs(office: Office, visitor: Visitor) -> None:
    await visitor.sign_in("sr_0123456789abcdef_" + "a" * 52)
    await visitor.send("/sign-in", {"code": "x" * 43})
    assert office.attempts._kept["source", "127.0.0.1"].level == 2


async def end_revoked(office: Office, token: str) -> None:
    for name in BOTH:
        await office.ledgers[name].tokens.revoke(OPERATOR, token.split("_")[1])


async def end_expired(office: Office, token: str) -> None:
    for name in BOTH:
        change = TokenChange(expires_at_ms=office.clock.now_ms() + 1000)
        await office.ledgers[name].tokens.change(OPERATOR, token.split("_")[1], change)
    office.clock.advance(2)


async def end_elsewhere(office: Office, token: str) -> None:
    for name in BOTH:
        change = TokenChange(networks=["192.0.2.0/24"])
        await office.ledgers[name].tokens.change(OPERATOR, token.split("_")[1], change)


async def end_rotated(office: Office, token: str) -> None:
    for name in BOTH:
        await office.ledgers[name].tokens.rotate(OPERATOR, token.split("_")[1], 0)


async def end_session(office: Office, token: str) -> None:
    del token
    office.clock.advance(SETTINGS.session_ms / 1000 + 1)


@pytest.mark.parametrize("end", [end_revoked, end_expired, end_elsewhere, end_rotated, end_session])
async def test_what_ends_the_token_signs_out_at_once(office: Office, visitor: Visitor, end: End) -> None:
    token = await office.token(ADMIN, on=BOTH)
    await visitor.sign_in(token)
    await end(office, token)
    page = await visitor.open("/")
    assert (page.url, page.heading) == ("/sign-in", "Sign in")
    assert not visitor.client.cookies
    if end is not end_session:
        for name in BOTH:
            assert await office.ledgers[name].database.fetch_all(tables.session.select()) == []


async def test_a_used_up_rate_is_told_and_does_not_sign_out(office: Office, visitor: Visitor) -> None:

    await visitor.sign_in(await office.token(ADMIN, rate=parse_rate("3/h")))
    statuses = [(await visitor.open("/")).status for _ in range(3)]
    assert statuses == [200, 429, 429]
    assert visitor.client.cookies


async def test_signing_out_ends_the_session_for_a_copied_cookie_too(office: Office, visitor: Visitor) -> None:
    page = await visitor.sign_in(await office.token(ADMIN, on=BOTH))
    copied = cookie_of(visitor)
    await visitor.submit(page.form("/sign-out"))
    visitor.client.cookies.set("strongroom", copied)
    assert (await visitor.open("/")).url == "/sign-in"


async def test_any_replica_knows_the_session(office: Office, visitor: Visitor) -> None:
    """The process that signed in is no part of it: what another one needs is in the database."""

    token = await office.token(ADMIN, on=BOTH)
    await visitor.sign_in(token)

    estate = Estate([*office.ledgers.values()], office.health, office.clock)
    secret = decode_secret(cookie_of(visitor))
    assert secret is not None
    found = await SignIns(estate, office.clock, office.entropy, 1).find(secret)
    assert found is not None
    assert found.token == token
    assert token not in repr(found)


async def test_a_link_signs_in_once(office: Office, visitor: Visitor) -> None:
    token = await office.token(ADMIN, on=BOTH, name="boss")
    path = office.console.link("", token)
    await visitor.open(path)  # to look at it uses nothing up
    form = (await visitor.open(path)).form("/sign-in")
    page = await visitor.submit(form)
    assert (page.url, "boss" in page.text) == ("/", True)
    await visitor.submit(page.form("/sign-out"))
    again = await visitor.submit(form)
    assert again.status == 401
    assert "used before" in again.text
    assert not visitor.client.cookies


async def test_a_link_is_over_after_minutes(office: Office, visitor: Visitor) -> None:
    path = office.console.link("", await office.token(ADMIN))
    form = (await visitor.open(path)).form("/sign-in")
    office.clock.advance(LINK_S + 1)
    assert (await visitor.submit(form)).status == 401


@pytest.mark.parametrize(
    "where", ["//evil.example/", "https://evil.example", "/\\evil.example", "javascript:x"]
)
async def test_nobody_is_led_elsewhere(office: Office, visitor: Visitor, where: str) -> None:
    page = await visitor.open("/sign-in")
    token = await office.token(ADMIN)
    page = await visitor.submit(page.form("/sign-in"), token=token, next=where)
    assert page.url == "/"


@pytest.mark.parametrize("why", ["away", "busy"])
async def test_a_link_counts_on_when_its_token_could_not_be_asked_about(
    office: Office, visitor: Visitor, why: str
) -> None:
    token = await office.token(ADMIN, rate=parse_rate("1/min"))
    form = (await visitor.open(office.console.link("", token))).form("/sign-in")
    if why == "away":
        office.ledgers["atto"]._is_prepared = False  # type: ignore[attr-defined]
    else:
        await office.ask(token, "GET", "/me")
    page = await visitor.submit(form)
    assert page.status == (503 if why == "away" else 429)
    assert why == "away" or page.form("/sign-in").fields["code"] == form.fields["code"]
    assert not visitor.client.cookies
    office.ledgers["atto"]._is_prepared = True  # type: ignore[attr-defined]
    office.clock.advance(61)
    assert (await visitor.submit(form)).status in {200, 429}
    assert visitor.client.cookies
    visitor.client.cookies.clear()
    assert (await visitor.submit(form)).status == 401, "it signed in once"


async def test_no_address_chooses_the_words_of_the_page(visitor: Visitor) -> None:
    page = await visitor.open("/sign-in?why=Your+token+is+stolen.+Send+it+to+help@evil.example")
    assert "evil.example" not in page.text


async def test_why_somebody_is_signed_out_is_told_once(office: Office, visitor: Visitor) -> None:
    token = await office.token(ADMIN, on=BOTH)
    await visitor.sign_in(token)
    await end_revoked(office, token)
    page = await visitor.open("/payments")
    assert "revoked" in page.text
    assert page.form("/sign-in").fields["next"] == "/payments"
    assert "revoked" not in (await visitor.open("/sign-in")).text
