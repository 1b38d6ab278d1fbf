"""Who may ask the admin API for what, on which ledger."""

from pathlib import Path

import httpx2
import pytest

from strongroom.core.security.access import ADMIN_SCOPES, OPERATOR
from support.admin_office import Office, running_office
from support.clock import ManualClock

pytestmark = pytest.mark.anyio
ALL = ("atto", "hathor")


def refused(response: httpx2.Response, status: int, code: str) -> bool:
    body = response.json()
    return (
        response.status_code == status
        and response.headers["content-type"] == "application/problem+json"
        and (body["status"], body["code"]) == (status, code)
        and body["requestId"] == response.headers["x-request-id"]
    )


@pytest.mark.parametrize("path", ["/me", "/ledgers", "/payments", "/ledgers/atto/rules", "/ledgers/doge"])
async def test_nobody_gets_in_without_a_token(office: Office, path: str) -> None:
    assert refused(await office.ask(None, "GET", path), 401, "unauthenticated")
    unknown = "sr_0123456789abcdef_" + "a" * 52
    assert refused(await office.ask(unknown, "GET", path), 401, "unauthenticated")


async def test_a_wallets_token_never_administers(office: Office) -> None:
    """Whatever its scopes are called: only the admin API's own scopes open it."""
    for scopes in (("*",), ("atto:*", "admin:*"), ("atto:send",)):
        token = await office.token(*scopes, on=ALL)
        for path in ("/me", "/ledgers", "/ledgers/atto/freezes"):
            assert refused(await office.ask(token, "GET", path), 403, "scope_missing"), scopes


async def test_an_admin_token_is_no_wallets_token(office: Office) -> None:
    token = await office.token(*ADMIN_SCOPES)
    principal = await office.ledgers["atto"].token_check.authenticate(token, "")
    assert not any(principal.may(scope) for scope in office.ledgers["atto"].definition.scopes())


async def test_a_token_has_authority_where_it_stands(office: Office) -> None:
    token = await office.token("admin:read", on=["hathor"], name="night watch")
    assert (await office.ask(token, "GET", "/ledgers/hathor/rules")).json() == []
    assert refused(await office.ask(token, "GET", "/ledgers/atto/rules"), 401, "unauthenticated")
    me = (await office.ask(token, "GET", "/me")).json()
    known = {"ledger": "hathor", "principal": "token:night watch", "token": token.split("_")[1]}
    assert me == {"ledgers": [{**known, "scopes": ["admin:read"]}], "away": []}
    assert [one["ledger"] for one in (await office.ask(token, "GET", "/ledgers")).json()] == ["hathor"]
    unknown = await office.ask(token, "GET", "/ledgers/doge")
    assert refused(unknown, 404, "ledger_not_found")


async def test_a_revoked_token_is_told_so_and_refused(office: Office) -> None:
    token = await office.token("admin", on=ALL)
    assert (await office.ask(token, "GET", "/ledgers")).status_code == httpx2.codes.OK
    await office.ledgers["atto"].tokens.revoke(OPERATOR, token.split("_")[1])
    assert [one["ledger"] for one in (await office.ask(token, "GET", "/ledgers")).json()] == ["hathor"]
    await office.ledgers["hathor"].tokens.revoke(OPERATOR, token.split("_")[1])
    gone = await office.ask(token, "GET", "/ledgers")
    assert refused(gone, 401, "unauthenticated")
    assert "revoked" in gone.json()["detail"]


async def test_a_ledger_that_is_away_is_told_and_the_others_go_on(tmp_path: Path, clock: ManualClock) -> None:
    async with running_office(tmp_path, clock, unprepared=["hathor"]) as office:
        token = await office.token("admin")
        assert refused(await office.ask(token, "GET", "/ledgers/hathor/rules"), 503, "ledger_away")
        assert (await office.ask(token, "GET", "/ledgers/atto/rules")).json() == []
        ledgers = (await office.ask(token, "GET", "/ledgers")).json()
        assert [(one["ledger"], one["away"]) for one in ledgers] == [("atto", False), ("hathor", True)]
        page = (await office.ask(token, "GET", "/payments")).json()
        assert [one["ledger"] for one in page["away"]] == ["hathor"]
        frozen = await office.ask(token, "POST", "/freeze", {"reason": "a theft"})
        assert refused(frozen, 503, "partly_done")
        assert [(one["ledger"], one["done"]) for one in frozen.json()["ledgers"]] == [
            ("atto", True),
            ("hathor", False),
        ]
        stranger = await office.ask("sr_0123456789abcdef_x", "GET", "/payments")
        assert refused(stranger, 503, "ledger_away")


async def test_a_web_page_of_another_site_is_refused(office: Office) -> None:
    """Also where the operator let its origin call the other surfaces: this one has no CORS."""
    token = await office.token("admin")
    headers = {"Authorization": f"Bearer {token}"}
    for more, code in (
        ({"Host": "rebound.example"}, "host_not_allowed"),
        ({"Origin": "https://evil.example"}, "origin_not_allowed"),
        ({"Sec-Fetch-Site": "cross-site"}, "cross_site"),
    ):
        response = await office.client.get("/admin/v1/ledgers", headers=headers | more)
        assert (response.status_code, response.json()["code"]) == (403, code)
    preflight = await office.client.options(
        "/admin/v1/ledgers",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert preflight.status_code == 403
    assert not [name for name in preflight.headers if name.startswith("access-control")]


async def test_what_would_be_ignored_is_refused(office: Office) -> None:
    token = await office.token("admin")
    for path, query, code in (
        ("/payments", {"leger": "atto"}, "unknown_parameter"),
        ("/payments", {"state": ["OPEN", "OPEN"]}, "repeated_parameter"),
        ("/ledgers/atto/rules", {"ended": "true"}, "unknown_parameter"),
    ):
        assert refused(await office.ask(token, "GET", path, **query), 400, code)
    for path, body in (
        ("/ledgers/atto/freezes", {"scope": "ledger", "reason": "x", "subjects": ""}),
        ("/ledgers/atto/freezes", {"scope": "planet", "reason": "x"}),
        ("/ledgers/atto/rules", {"name": "x", "rule": {"effect": "deny", "wen": {}}}),
        ("/ledgers/atto/rules/test", {"kind": "SEND", "amount": "5"}),
    ):
        assert (await office.ask(token, "POST", path, body)).status_code == 400
    text = await office.client.post(
        "/admin/v1/freeze",
        content='{"reason": "x"}',
        headers={"Authorization": f"Bearer {token}", "Content-Type": "text/plain"},
    )
    assert (text.status_code, text.json()["code"]) == (415, "unsupported_media_type")


async def test_answers_are_kept_out_of_caches(office: Office) -> None:
    response = await office.ask(await office.token("admin"), "GET", "/me")
    assert response.headers["cache-control"] == "no-store"
