"""Tokens by the admin API, and that no token gains rights by administering others."""

from typing import Any

import httpx2
import pytest

from strongroom.core.coordination.rates import parse_rate
from strongroom.core.storage.errors import ConnectionSevered
from support.admin_office import Office

pytestmark = pytest.mark.anyio
TOKENS = "/ledgers/atto/tokens"


def id_of(secret: str) -> str:
    return secret.split("_")[1]


def more(response: httpx2.Response, words: str) -> bool:
    body = response.json()
    return (response.status_code, body["code"]) == (403, "more_rights") and words in body["detail"]


async def test_a_token_is_made_used_rotated_and_revoked(office: Office) -> None:
    boss = await office.token("admin", name="boss")
    made = await office.ask(
        boss,
        "POST",
        TOKENS,
        {
            "name": "night watch",
            "scopes": ["admin:read", "atto:read"],
            "expiresAt": "2030-01-01T00:00:00Z",
            "networks": ["127.0.0.1"],
            "rate": "60/min",
        },
    )
    assert made.status_code == 201, made.text
    secret, token = made.json()["secret"], made.json()["token"]
    assert (token["name"], token["scopes"]) == ("night watch", ["admin:read", "atto:read"])
    assert (token["expiresAt"], token["networks"], token["rate"]) == (
        "2030-01-01T00:00:00.000Z",
        ["127.0.0.1/32"],
        "60/min",
    )
    assert (await office.ask(secret, "GET", TOKENS)).status_code == 200
    again = await office.ask(boss, "POST", TOKENS, {"name": "night watch", "scopes": ["admin:read"]})
    assert (again.status_code, again.json()["code"]) == (409, "token_exists")

    path = f"{TOKENS}/{token['id']}"
    changed = await office.ask(boss, "PATCH", path, {"rate": None, "networks": []})
    assert (changed.json()["rate"], changed.json()["networks"]) == (None, [])
    assert changed.json()["expiresAt"] == "2030-01-01T00:00:00.000Z"
    nothing = await office.ask(boss, "PATCH", path, {})
    assert (nothing.status_code, nothing.json()["code"]) == (400, "nothing_to_change")

    rotated = await office.ask(boss, "POST", f"{path}/rotate", {"overlapSeconds": 60})
    assert rotated.json()["token"]["earlierSecretUntil"] is not None
    for works in (secret, rotated.json()["secret"]):
        assert (await office.ask(works, "GET", "/me")).status_code == 200
    office.clock.advance(60)
    assert (await office.ask(secret, "GET", "/me")).status_code == 401

    revoked = await office.ask(boss, "POST", f"{path}/revoke")
    assert revoked.json()["revokedAt"] is not None
    assert (await office.ask(rotated.json()["secret"], "GET", "/me")).status_code == 401
    for way, body in (("POST", {}), ("PATCH", {"rate": "1/s"})):
        gone = await office.ask(boss, way, path if way == "PATCH" else f"{path}/rotate", body)
        assert (gone.status_code, gone.json()["code"]) == (404, "token_not_found")
    rows = [row for row in await office.audit() if row[2] == token["id"]]
    assert [(who, action) for who, action, _, _ in rows] == [
        ("token:boss", f"token.{what}") for what in ("create", "change", "rotate", "revoke")
    ]
    assert rows[0][3]["requestId"] == made.headers["x-request-id"]
    assert secret not in str(await office.audit())
    assert secret not in (await office.ask(boss, "GET", TOKENS)).text


async def test_a_secret_is_not_lost_with_the_database(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is committed is answered, whatever the database does afterwards."""
    boss = await office.token("admin", name="boss")
    database = office.ledgers["atto"].database
    write, fetch_one, written = database.write, database.fetch_one, list[None]()

    async def last_write(*arguments: Any, **more: Any) -> Any:
        found = await write(*arguments, **more)
        written.append(None)
        return found

    async def no_more(*arguments: Any, **more: Any) -> Any:
        if written:
            raise ConnectionSevered
        return await fetch_one(*arguments, **more)

    monkeypatch.setattr(database, "write", last_write)
    monkeypatch.setattr(database, "fetch_one", no_more)
    made = await office.ask(boss, "POST", TOKENS, {"name": "shop", "scopes": ["admin:read"]})
    assert made.status_code == 201, made.text
    path = f"{TOKENS}/{id_of(made.json()['secret'])}"
    for method, way, body in (
        ("POST", "/rotate", {}),
        ("PATCH", "", {"rate": "5/s"}),
        ("POST", "/revoke", None),
    ):
        written.clear()
        done = await office.ask(boss, method, path + way, body)
        assert (done.status_code, len(written)) == (200, 1), done.text


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"scopes": ["admin"]}, "on the machine alone"),
        ({"scopes": ["admin:approve"]}, "on the machine alone"),
        ({"scopes": ["admin:rules"]}, "lacks the scope admin:rules"),
        ({"scopes": ["atto:*"]}, "on the machine alone"),
        ({"scopes": ["*"]}, "on the machine alone"),
        ({"scopes": ["atto:approve"]}, "on the machine alone"),
        ({"scopes": ["atto:read", "atto:change"]}, "lacks the scope atto:change"),
        ({"expiresAt": None}, "live longer"),
        ({"expiresAt": "2027-02-15T08:00:01Z"}, "live longer"),
        ({"networks": []}, "from where your token may not be"),
        ({"networks": ["127.0.0.0/8", "10.0.0.0/8"]}, "from where your token may not be"),
        ({"networks": ["0.0.0.0/0"]}, "from where your token may not be"),
        ({"rate": None}, "more often"),
        ({"rate": "21/s"}, "more often"),
    ],
)
async def test_a_token_makes_none_with_more_rights(office: Office, wish: dict[str, Any], words: str) -> None:
    """Neither new, nor by changing one, nor by rotating one that has them."""
    ends_at_ms = 1_802_678_400_000  # 2027-02-15T08:00:00Z
    narrow = {"networks": ["127.0.0.0/8"], "rate": "20/s"}
    giver = await office.token(
        "admin:tokens",
        "atto:read",
        "atto:send",
        expires_at_ms=ends_at_ms,
        networks=["127.0.0.0/8"],
        rate=parse_rate("20/s"),
    )
    allowed = {"name": "child", "scopes": ["atto:read"], "expiresAt": "2027-02-15T08:00:00Z", **narrow}
    child = await office.ask(giver, "POST", TOKENS, allowed)
    assert child.status_code == 201, child.text
    assert more(await office.ask(giver, "POST", TOKENS, {**allowed, "name": "other", **wish}), words)
    if "scopes" not in wish:
        path = f"{TOKENS}/{child.json()['token']['id']}"
        assert more(await office.ask(giver, "PATCH", path, wish), words)
        return
    stronger = await office.token(*wish["scopes"])
    assert more(await office.ask(giver, "POST", f"{TOKENS}/{id_of(stronger)}/rotate", {}), words)
    assert more(await office.ask(giver, "PATCH", f"{TOKENS}/{id_of(stronger)}", {"rate": "1/s"}), words)


async def test_not_even_admin_hands_on_the_right_to_approve(office: Office) -> None:
    """Whoever could would approve a request of their own under another name."""
    boss, other = await office.token("admin"), await office.token("admin", "admin:approve")
    for scope in ("admin", "admin:approve"):
        refused = await office.ask(boss, "POST", TOKENS, {"name": "twin", "scopes": [scope]})
        assert more(refused, "on the machine alone")
    assert more(await office.ask(boss, "POST", f"{TOKENS}/{id_of(other)}/rotate", {}), "on the machine alone")
    own = await office.ask(boss, "POST", f"{TOKENS}/{id_of(boss)}/rotate", {})
    assert own.status_code == 200
    assert (await office.ask(own.json()["secret"], "GET", "/me")).status_code == 200


async def test_every_token_may_be_revoked_by_one_that_may_revoke(office: Office) -> None:
    keeper, boss = await office.token("admin:tokens"), await office.token("admin")
    revoked = await office.ask(keeper, "POST", f"{TOKENS}/{id_of(boss)}/revoke")
    assert revoked.status_code == 200
    assert (await office.ask(boss, "GET", "/me")).status_code == 401


async def test_a_token_that_others_made_has_authority_on_its_ledger_alone(office: Office) -> None:
    boss = await office.token("admin", on=("atto", "hathor"))
    made = await office.ask(boss, "POST", TOKENS, {"name": "reader", "scopes": ["admin:read"]})
    me = (await office.ask(made.json()["secret"], "GET", "/me")).json()
    assert [one["ledger"] for one in me["ledgers"]] == ["atto"]


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"scopes": []}, "invalid_input"),
        ({"scopes": ["atto:spend"]}, "scope_unknown"),
        ({"name": ""}, "invalid_input"),
        ({"rate": "often"}, "rate_invalid"),
        ({"networks": ["10.0.0.1/8"]}, "network_invalid"),
        ({"expiresAt": "soon"}, "invalid_moment"),
        ({"limits": {"wallets": ["x"]}}, "limits_invalid"),
        ({"scope": ["admin"]}, "bad_request"),
    ],
)
async def test_a_wrong_wish_is_told(office: Office, wish: dict[str, Any], code: str) -> None:
    boss = await office.token("admin")
    refused = await office.ask(boss, "POST", TOKENS, {"name": "x", "scopes": ["atto:read"], **wish})
    assert (refused.status_code, refused.json()["code"]) == (400, code), refused.text
