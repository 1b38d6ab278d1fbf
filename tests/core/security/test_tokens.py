"""Tokens and scopes."""

import hashlib
import hmac
import json
from collections.abc import Callable

import pytest
from sqlalchemy import select

from strongroom.core.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthenticated
from strongroom.core.security.access import ANONYMOUS, OPERATOR, Principal, system_principal
from strongroom.core.security.audit import Audit, verify
from strongroom.core.security.credentials import Credentials
from strongroom.core.security.tokens import Gatekeeper, NewToken, Token, Tokens
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate
from support.clock import START_MS, ManualClock, SeededEntropy

Elsewhere = Callable[[str], list[list[str]]]

NOT_VALID = "The API token is not valid"


@pytest.fixture
def tokens(database: Database, clock: ManualClock, entropy: SeededEntropy) -> Tokens:
    return Tokens(database, Audit(clock), clock, entropy)


def bearing(new: NewToken, source: str = "") -> Credentials:
    return Credentials(authorization=f"Bearer {new.secret}", source=source)


async def refusal(tokens: Tokens, presented: str) -> str:
    with pytest.raises(Unauthenticated) as raised:
        await tokens.authenticate(presented)
    return raised.value.message


@pytest.mark.parametrize(
    ("scopes", "asked", "allowed"),
    [
        ({"atto:send"}, "atto:send", True),
        ({"atto:send"}, "atto:sendall", False),
        ({"atto:send"}, "atto:read", False),
        ({"atto:*"}, "atto:send", True),
        ({"atto:*"}, "hathor:send", False),
        ({"atto:*"}, "attonite:send", False),
        ({"*"}, "hathor:send", True),
        ({"hathor:read", "atto:send"}, "atto:send", True),
        (set(), "atto:send", False),
    ],
)
def test_a_scope_allows_what_it_names(scopes: set[str], asked: str, allowed: bool) -> None:
    principal = Principal(name="token:ci", scopes=frozenset(scopes))
    assert principal.may(asked) is allowed
    if allowed:
        principal.require(asked)
    else:
        with pytest.raises(Forbidden, match=asked):
            principal.require(asked)


def test_the_service_itself_may_do_everything() -> None:
    assert system_principal("receiver") == Principal(
        name="system:receiver", scopes=frozenset({"*"}), is_service=True
    )


async def test_a_token_leads_to_its_principal(tokens: Tokens) -> None:
    new = await tokens.create(OPERATOR, "ci", ["atto:send", "atto:read", "atto:send"])
    assert new.secret.startswith(f"sr_{new.id}_")
    principal = await tokens.authenticate(new.secret)
    scopes = frozenset({"atto:read", "atto:send"})
    assert principal == Principal(name="token:ci", scopes=scopes, token=new.id)


async def test_a_token_s_secret_is_neither_stored_nor_shown(
    tokens: Tokens, elsewhere: Callable[[str], list[list[str]]]
) -> None:
    new = await tokens.create(OPERATOR, "ci", ["*"])
    secret = new.secret.rpartition("_")[2]
    assert len(secret) * 5 >= 256
    assert secret not in repr(new)
    stored = str(elsewhere("SELECT id, name, hex(secret_hash), scopes FROM strongroom_token"))
    assert new.id in stored
    assert secret not in stored


async def test_each_token_is_another(tokens: Tokens) -> None:
    made = [await tokens.create(OPERATOR, f"ci-{number}", ["*"]) for number in range(5)]
    assert len({new.id for new in made}) == len({new.secret for new in made}) == 5


@pytest.mark.parametrize(
    ("name", "scopes"), [("", ["*"]), ("ci", []), ("n" * 101, ["*"]), ("line\nbreak", ["*"])]
)
async def test_a_token_needs_a_fit_name_and_a_scope(tokens: Tokens, name: str, scopes: list[str]) -> None:
    with pytest.raises(InvalidInput):
        await tokens.create(OPERATOR, name, scopes)
    assert await tokens.list() == []


@pytest.mark.parametrize(
    "presented",
    [
        "",
        "sr",
        "sr_",
        "sr__",
        "sr_0000000000000000_x",
        "sr_é_x",
        "sr_%_x",
        "sr_\0_x",
        f"sr_{'a' * 5000}_x",
        "é",
    ],
)
async def test_what_is_no_token_is_refused(tokens: Tokens, presented: str) -> None:
    await tokens.create(OPERATOR, "ci", ["*"])
    assert await refusal(tokens, presented) == NOT_VALID


async def test_one_message_for_a_wrong_id_and_a_wrong_secret(
    tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, other = await tokens.create(OPERATOR, "ci", ["*"]), await tokens.create(OPERATOR, "cd", ["*"])
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def noted(stored: bytes, presented: bytes) -> bool:
        compared.append((stored, presented))
        return compare(stored, presented)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    secret = new.secret.rpartition("_")[2]
    wrong = [f"sr_{other.id}_{secret}", f"sr_{'0' * 16}_{secret}", f"xx_{new.id}_{secret}", new.secret[:-1]]
    assert [await refusal(tokens, presented) for presented in wrong] == [NOT_VALID] * len(wrong)
    assert len(compared) == len(wrong), "the comparison is made though the id is unknown"


async def test_a_token_ends_at_its_expiry(tokens: Tokens, clock: ManualClock) -> None:
    new = await tokens.create(OPERATOR, "ci", ["*"], expires_at_ms=START_MS + 1000)
    clock.advance(0.999)
    await tokens.authenticate(new.secret)
    clock.advance(0.001)
    assert await refusal(tokens, new.secret) == "The API token has expired"


async def test_only_its_owner_learns_that_a_token_ended(tokens: Tokens, clock: ManualClock) -> None:
    expired = await tokens.create(OPERATOR, "expired", ["*"], expires_at_ms=clock.now_ms())
    revoked = await tokens.create(OPERATOR, "revoked", ["*"])
    await tokens.revoke(OPERATOR, revoked.id)
    assert await refusal(tokens, f"sr_{expired.id}_guess") == NOT_VALID
    assert await refusal(tokens, f"sr_{revoked.id}_guess") == NOT_VALID


async def test_a_revoked_token_is_refused_at_once_by_every_process(
    tokens: Tokens, replica: Database, clock: ManualClock, entropy: SeededEntropy
) -> None:
    new, other = await tokens.create(OPERATOR, "ci", ["*"]), await tokens.create(OPERATOR, "cd", ["*"])
    await tokens.revoke(OPERATOR, new.id)
    elsewhere = Tokens(replica, Audit(clock), clock, entropy)
    assert await refusal(elsewhere, new.secret) == "The API token was revoked"
    await elsewhere.authenticate(other.secret)


async def test_only_an_active_token_can_be_revoked(tokens: Tokens) -> None:
    new = await tokens.create(OPERATOR, "ci", ["*"])
    await tokens.revoke(OPERATOR, new.id)
    for token_id in (new.id, "0000000000000000"):
        with pytest.raises(NotFound, match=token_id):
            await tokens.revoke(OPERATOR, token_id)


async def test_the_list_has_everything_except_secrets(tokens: Tokens, clock: ManualClock) -> None:
    first = await tokens.create(OPERATOR, "ci", ["atto:send", "atto:read"])
    clock.advance(1)
    second = await tokens.create(OPERATOR, "Łódź", ["*"], expires_at_ms=START_MS + 5000)
    clock.advance(1)
    await tokens.revoke(OPERATOR, first.id)
    assert await tokens.list() == [
        Token(
            id=first.id,
            name="ci",
            scopes=("atto:read", "atto:send"),
            created_at_ms=START_MS,
            expires_at_ms=None,
            revoked_at_ms=START_MS + 2000,
        ),
        Token(
            id=second.id,
            name="Łódź",
            scopes=("*",),
            created_at_ms=START_MS + 1000,
            expires_at_ms=START_MS + 5000,
            revoked_at_ms=None,
        ),
    ]


async def test_an_open_surface_takes_who_comes_but_a_token_counts(tokens: Tokens) -> None:
    gatekeeper = Gatekeeper(tokens, required=False)
    new = await tokens.create(OPERATOR, "ci", ["atto:read"])
    assert await gatekeeper.identify(Credentials()) == ANONYMOUS
    assert (await gatekeeper.identify(bearing(new))).scopes == {"atto:read"}
    with pytest.raises(Unauthenticated, match=NOT_VALID):
        await gatekeeper.identify(Credentials(authorization=f"Bearer {new.secret}x"))


async def test_a_closed_surface_needs_a_token(tokens: Tokens) -> None:
    gatekeeper = Gatekeeper(tokens, required=True)
    new = await tokens.create(OPERATOR, "ci", ["atto:read"])
    assert (await gatekeeper.identify(Credentials(authorization=f"bearer  {new.secret} "))).name == "token:ci"
    for authorization, message in {
        None: "needs an API token",
        "": "Only bearer tokens",
        f"Basic {new.secret}": "Only bearer tokens",
        new.secret: "Only bearer tokens",
        "Bearer": NOT_VALID,
    }.items():
        with pytest.raises(Unauthenticated, match=message):
            await gatekeeper.identify(Credentials(authorization=authorization))


@pytest.mark.parametrize("required", [True, False])
async def test_the_principal_is_where_the_request_came_from(tokens: Tokens, required: bool) -> None:
    gatekeeper = Gatekeeper(tokens, required=required)
    new = await tokens.create(OPERATOR, "ci", ["atto:read"])
    assert (await gatekeeper.identify(bearing(new, source="192.0.2.1"))).source == "192.0.2.1"
    if not required:
        anonymous = await gatekeeper.identify(Credentials(source="2001:db8::/64"))
        assert (anonymous.name, anonymous.source) == (ANONYMOUS.name, "2001:db8::/64")


def test_what_is_presented_does_not_print() -> None:
    assert repr(Credentials(authorization="Bearer sr_1_x", source="::1", certificate=b"der")) == (
        "Credentials(source='::1')"
    )


async def test_creation_and_revocation_leave_their_rows(database: Database, tokens: Tokens) -> None:
    created = await tokens.create(OPERATOR, "ci", ["atto:send", "atto:read"], 5_000)
    await tokens.revoke(OPERATOR, created.id)
    rows = await database.fetch_all(select(tables.audit).order_by(tables.audit.c.sequence))
    assert [(row.principal, row.action, row.subject, json.loads(row.details)) for row in rows] == [
        (
            "operator",
            "token.create",
            created.id,
            {"name": "ci", "scopes": ["atto:read", "atto:send"], "expiresAtMs": 5_000},
        ),
        ("operator", "token.revoke", created.id, {}),
    ]
    assert await verify(database) == 2


async def test_a_name_is_given_once(tokens: Tokens) -> None:
    """Also after its token was revoked: what was asked for under it belongs to it."""
    new = await tokens.create(OPERATOR, "ci", ["*"])
    await tokens.create(OPERATOR, "CI", ["*"])
    with pytest.raises(Conflict, match="There is already a token named ci") as raised:
        await tokens.create(OPERATOR, "ci", ["atto:read"])
    assert raised.value.instance_code == "token_exists"
    await tokens.revoke(OPERATOR, new.id)
    with pytest.raises(Conflict, match="There is already a token named ci"):
        await tokens.create(OPERATOR, "ci", ["*"])
    assert [token.id for token in await _named(tokens, "ci")] == [new.id]


async def test_tokens_that_shared_a_name_get_one_each(database: Database, elsewhere: Elsewhere) -> None:
    """As an earlier version left them. What was answered under a key stays answered, for each of them."""
    on = " ON strongroom_token" if not database.is_sqlite else ""
    younger = ("intent", "guard", "rule", "window", "freeze")
    later = " ".join(f"DROP TABLE strongroom_{name};" for name in younger)
    elsewhere(
        f"DROP INDEX strongroom_token_name{on}; {later} UPDATE strongroom_version_core SET version_num = 'core_0003'"  # noqa: S608
    )
    digest = hashlib.sha256(b"token:shop").hexdigest()
    for token_id, name, created, revoked in (
        ("a1", "shop", 3, "NULL"),
        ("b2", "shop", 2, "NULL"),
        ("c3", "shop", 1, "5"),
        ("d4", "SHOP", 4, "NULL"),
    ):
        elsewhere(
            "INSERT INTO strongroom_token (id, name, secret_hash, scopes, created_at_ms, revoked_at_ms)"  # noqa: S608
            f" VALUES ('{token_id}', '{name}', X'{'00' * 32}', '[]', {created}, {revoked})"
        )
    elsewhere(
        "INSERT INTO strongroom_idempotency (scope, `key`, fingerprint, owner, status, body, created_at_ms, expires_at_ms)"  # noqa: S608
        f" VALUES ('atto:{digest}', 'order-1', X'{'11' * 32}', 'o', 200, 'paid', 1, 2)"
    )
    await migrate(database, [])
    assert elsewhere("SELECT id, name FROM strongroom_token ORDER BY id") == [
        ["a1", "shop (a1)"],
        ["b2", "shop"],
        ["c3", "shop (c3)"],
        ["d4", "SHOP"],
    ]
    scopes = [
        hashlib.sha256(f"token:{name}".encode()).hexdigest() for name in ("shop", "shop (a1)", "shop (c3)")
    ]
    stored = elsewhere("SELECT scope, body FROM strongroom_idempotency")
    assert sorted(stored) == sorted([f"atto:{scope}", "paid"] for scope in scopes)


async def _named(tokens: Tokens, name: str) -> list[Token]:
    return [token for token in await tokens.list() if token.name == name]
