"""Tokens and scopes."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable

import pytest
from sqlalchemy import select
from sqlalchemy.engine import URL

from strongroom.core.coordination.rates import Rate, parse_rate
from strongroom.core.errors import Conflict, Forbidden, InvalidInput, NotFound, Unauthenticated
from strongroom.core.guard.rows.binding import tag_existing
from strongroom.core.security.access import OPERATOR, Principal, system_principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.stored_tokens import Token, TokenChange
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate
from support.clock import START_MS, ManualClock, SeededEntropy
from support.old_database import write_old_core
from support.tokens import TokenHouse
from support.trail import open_trail, verify

Elsewhere = Callable[[str], list[list[str]]]

NOT_VALID = "The API token is not valid"


@pytest.fixture
def house(database: Database, clock: ManualClock, entropy: SeededEntropy) -> TokenHouse:
    return TokenHouse(database, clock, entropy)


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


async def test_a_token_s_secret_is_neither_stored_nor_shown(
    house: TokenHouse, elsewhere: Callable[[str], list[list[str]]]
) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["*"])
    secret = new.secret.rpartition("_")[2]
    assert len(secret) * 5 >= 256
    assert secret not in repr(new)
    stored = str(elsewhere("SELECT id, name, hex(secret_hash), scopes FROM strongroom_token"))
    assert new.id in stored
    assert secret not in stored


async def test_each_token_is_another(house: TokenHouse) -> None:
    made = [await house.tokens.create(OPERATOR, f"ci-{number}", ["*"]) for number in range(5)]
    assert len({new.id for new in made}) == len({new.secret for new in made}) == 5


@pytest.mark.parametrize(
    ("name", "scopes"),
    [("", ["*"]), ("ci", []), ("n" * 101, ["*"]), ("line\nbreak", ["*"]), (" ci", ["*"]), ("ci ", ["*"])],
)
async def test_a_token_needs_a_fit_name_and_a_scope(house: TokenHouse, name: str, scopes: list[str]) -> None:
    with pytest.raises(InvalidInput):
        await house.tokens.create(OPERATOR, name, scopes)
    assert await house.tokens.list() == []
    await house.tokens.create(OPERATOR, "n" * 100, ["*"])


async def test_a_token_that_is_revoked_during_its_request_changes_no_tokens(house: TokenHouse) -> None:
    """It would live on in one that it makes, and nobody would know of that one."""
    tokens = house.tokens
    stolen = await tokens.create(OPERATOR, "stolen", ["*"])
    other = await tokens.create(OPERATOR, "other", ["*"])
    principal = await house.principal(stolen.secret)
    await tokens.revoke(OPERATOR, stolen.id)
    for attempt in (
        tokens.create(principal, "next", ["*"]),
        tokens.rotate(principal, other.id),
        tokens.change(principal, other.id, TokenChange(rate=None)),
        tokens.revoke(principal, other.id),
    ):
        with pytest.raises(Unauthenticated, match="was revoked"):
            await attempt
    assert {each.name: each.is_revoked for each in await tokens.list()} == {"stolen": True, "other": False}
    assert (await house.principal(other.secret)).name == "token:other"


async def test_only_an_active_token_can_be_revoked(house: TokenHouse) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["*"])
    await house.tokens.revoke(OPERATOR, new.id)
    for token_id in (new.id, "0000000000000000"):
        with pytest.raises(NotFound, match=token_id):
            await house.tokens.revoke(OPERATOR, token_id)


async def test_the_list_has_everything_except_secrets(house: TokenHouse, clock: ManualClock) -> None:
    first = await house.tokens.create(OPERATOR, "ci", ["atto:send", "atto:read"])
    clock.advance(1)
    second = await house.tokens.create(OPERATOR, "Łódź", ["*"], expires_at_ms=START_MS + 5000)
    clock.advance(1)
    await house.tokens.revoke(OPERATOR, first.id)
    assert await house.tokens.list() == [
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


async def test_creation_and_revocation_leave_their_rows(database: Database, house: TokenHouse) -> None:
    created = await house.tokens.create(OPERATOR, "ci", ["atto:send", "atto:read"], 5_000)
    await house.tokens.revoke(OPERATOR, created.id)
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


async def test_a_name_is_given_once(house: TokenHouse) -> None:
    """Also after its token was revoked: what was asked for under it belongs to it."""
    new = await house.tokens.create(OPERATOR, "ci", ["*"])
    await house.tokens.create(OPERATOR, "CI", ["*"])
    with pytest.raises(Conflict, match="There is already a token named ci") as raised:
        await house.tokens.create(OPERATOR, "ci", ["atto:read"])
    assert raised.value.instance_code == "token_exists"
    await house.tokens.revoke(OPERATOR, new.id)
    with pytest.raises(Conflict, match="There is already a token named ci"):
        await house.tokens.create(OPERATOR, "ci", ["*"])
    assert [token.id for token in await _named(house, "ci")] == [new.id]


@pytest.fixture
async def empty(database_url: URL) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


async def test_tokens_that_shared_a_name_get_one_each(empty: Database, elsewhere: Elsewhere) -> None:
    """As an earlier version left them. What was answered under a key stays answered, for each of them."""
    await write_old_core(empty, "core_0003")
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
    await migrate(empty, [])
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


async def test_tokens_of_an_earlier_version_work_as_before(
    empty: Database, elsewhere: Elsewhere, clock: ManualClock, entropy: SeededEntropy
) -> None:
    await write_old_core(empty, "core_0009")
    elsewhere(
        "INSERT INTO strongroom_token (id, name, secret_hash, scopes, created_at_ms)"  # noqa: S608
        f" VALUES ('a1', 'shop', X'{hashlib.sha256(b'secret').hexdigest()}', '[\"atto:send\"]', 1)"
    )
    await migrate(empty, [])
    house = TokenHouse(empty, clock, entropy)
    assert await house.refusal("sr_a1_secret") == NOT_VALID
    await tag_existing(empty, Audit(clock, open_trail()))
    principal = await house.principal("sr_a1_secret", "192.0.2.1")
    assert principal == Principal(
        name="token:shop", scopes=frozenset({"atto:send"}), token="a1", source="192.0.2.1"
    )
    assert await house.tokens.list() == [
        Token(
            id="a1",
            name="shop",
            scopes=("atto:send",),
            created_at_ms=1,
            expires_at_ms=None,
            revoked_at_ms=None,
        )
    ]


async def _named(house: TokenHouse, name: str) -> list[Token]:
    return [token for token in await house.tokens.list() if token.name == name]


async def test_where_and_how_often_a_token_may_be_used_can_change(
    house: TokenHouse, database: Database, clock: ManualClock
) -> None:
    new = await house.tokens.create(
        OPERATOR,
        "ci",
        ["*"],
        networks=["192.0.2.7", "192.0.2.7/32", "2001:db8::/48"],
        rate=parse_rate("60/min"),
    )
    made = await house.tokens.find(new.id)
    assert made.networks == ("192.0.2.7/32", "2001:db8::/48")
    assert made.rate == Rate(requests=60, seconds=60)
    assert (await house.principal(new.secret, "192.0.2.7")).rate == made.rate

    changed = await house.tokens.change(
        OPERATOR, new.id, TokenChange(networks=[], rate=parse_rate("5/s"), expires_at_ms=START_MS + 1)
    )
    assert (changed.networks, str(changed.rate), changed.expires_at_ms) == ((), "5/s", START_MS + 1)
    kept = await house.tokens.change(OPERATOR, new.id, TokenChange(rate=None))
    assert (kept.rate, kept.expires_at_ms) == (None, START_MS + 1)
    clock.advance(1)
    assert await house.refusal(new.secret) == "The API token has expired"
    rows = await database.fetch_all(select(tables.audit).order_by(tables.audit.c.sequence))
    assert [(row.action, row.subject, json.loads(row.details)) for row in rows] == [
        (
            "token.create",
            new.id,
            {
                "name": "ci",
                "scopes": ["*"],
                "expiresAtMs": None,
                "networks": ["192.0.2.7/32", "2001:db8::/48"],
                "rate": "60/min",
            },
        ),
        ("token.change", new.id, {"networks": [], "rate": "5/s", "expiresAtMs": START_MS + 1}),
        ("token.change", new.id, {"rate": None}),
    ]


async def test_a_change_says_what_changes_and_of_which_token(house: TokenHouse) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["*"])
    with pytest.raises(InvalidInput, match="what of the token is to change"):
        await house.tokens.change(OPERATOR, new.id, TokenChange())
    with pytest.raises(InvalidInput, match="has host bits set"):
        await house.tokens.change(OPERATOR, new.id, TokenChange(networks=["192.0.2.7/24"]))
    await house.tokens.revoke(OPERATOR, new.id)
    for token_id in (new.id, "0000000000000000"):
        with pytest.raises(NotFound, match=token_id):
            await house.tokens.change(OPERATOR, token_id, TokenChange(networks=[]))
    assert (await house.tokens.find(new.id)).is_revoked
    with pytest.raises(NotFound, match="No token has the id 0000000000000000"):
        await house.tokens.find("0000000000000000")


async def test_a_scope_that_the_ledger_has_not_is_refused(house: TokenHouse) -> None:
    with pytest.raises(InvalidInput, match="unknown scope atto:spend, hathor:send; there are atto:read"):
        await house.tokens.create(OPERATOR, "ci", ["atto:read", "hathor:send", "atto:spend"])
    assert await house.tokens.list() == []


async def test_the_old_secret_works_as_long_as_the_overlap(
    house: TokenHouse, database: Database, clock: ManualClock
) -> None:
    first = await house.tokens.create(OPERATOR, "ci", ["*"])
    second = await house.tokens.rotate(OPERATOR, first.id, overlap_ms=1000)
    assert (await house.tokens.find(first.id)).earlier_secret_until_ms == START_MS + 1000
    clock.advance(0.999)
    assert (await house.principal(first.secret)).name == "token:ci"
    assert (await house.principal(second.secret)).name == "token:ci"
    clock.advance(0.001)
    assert await house.refusal(first.secret) == NOT_VALID
    assert (await house.principal(second.secret)).name == "token:ci"
    assert (await house.tokens.find(first.id)).earlier_secret_until_ms is None
    row = await database.fetch_one(select(tables.audit).order_by(tables.audit.c.sequence.desc()))
    assert row is not None
    assert (row.action, json.loads(row.details)) == (
        "token.rotate",
        {"earlierSecretUntilMs": START_MS + 1000},
    )


async def test_a_rotation_within_an_overlap_ends_the_oldest_secret(
    house: TokenHouse, clock: ManualClock
) -> None:
    first = await house.tokens.create(OPERATOR, "ci", ["*"])
    second = await house.tokens.rotate(OPERATOR, first.id, overlap_ms=10_000)
    clock.advance(1)
    third = await house.tokens.rotate(OPERATOR, first.id, overlap_ms=1_000)
    assert await house.refusal(first.secret) == NOT_VALID
    for works in (second, third):
        assert (await house.principal(works.secret)).token == first.id
    await house.tokens.rotate(OPERATOR, first.id)
    for ended in (second, third):
        assert await house.refusal(ended.secret) == NOT_VALID


async def test_revocation_ends_both_secrets(house: TokenHouse) -> None:
    first = await house.tokens.create(OPERATOR, "ci", ["*"])
    second = await house.tokens.rotate(OPERATOR, first.id, overlap_ms=10_000)
    await house.tokens.revoke(OPERATOR, first.id)
    assert await house.refusal(second.secret) == "The API token was revoked"
    assert await house.refusal(first.secret) == NOT_VALID, "the earlier secret is forgotten"


@pytest.mark.parametrize("overlap_ms", [-1, 366 * 86_400_000 + 1])
async def test_an_overlap_is_at_most_a_year(house: TokenHouse, overlap_ms: int) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["*"])
    with pytest.raises(InvalidInput, match="at most 366 days"):
        await house.tokens.rotate(OPERATOR, new.id, overlap_ms)
    assert (await house.principal(new.secret)).token == new.id


async def test_the_tokens_that_nobody_uses_are_found(house: TokenHouse, clock: ManualClock) -> None:
    made = [await house.tokens.create(OPERATOR, name, ["*"]) for name in ("idle", "used", "revoked")]
    await house.tokens.revoke(OPERATOR, made[2].id)
    clock.advance(100)
    await house.principal(made[1].secret, "192.0.2.1")
    await house.uses.write()
    clock.advance(50)
    assert [each.name for each in await house.tokens.list(unused_ms=150_000)] == ["idle"]
    assert [each.name for each in await house.tokens.list(unused_ms=150_001)] == []
    assert {each.name for each in await house.tokens.list(unused_ms=50_000)} == {"idle", "used"}
