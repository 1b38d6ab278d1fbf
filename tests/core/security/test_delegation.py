"""No token gains by administering tokens, in whatever way."""

import json
from typing import Any

import pytest
from sqlalchemy import update

from strongroom.core.coordination.rates import parse_rate
from strongroom.core.errors import Forbidden, Unauthenticated
from strongroom.core.security.access import ADMIN_SCOPES, OPERATOR, Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.certificates import CertificateBinding, CertificateUse
from strongroom.core.security.stored_tokens import NewToken, TokenChange
from strongroom.core.security.tokens import Tokens
from strongroom.core.security.upkeep.delegation import Delegation, TokenWish
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.clock import START_MS, ManualClock, SeededEntropy
from support.trail import open_trail

LIMITS = '{"wallets":["hot"]}'
END_MS = START_MS + 1000
SCOPES = ("toy:read", "toy:send", "toy:approve", "toy:export", "toy:*", "*", *ADMIN_SCOPES)


class House:
    def __init__(self, database: Database, clock: ManualClock, entropy: SeededEntropy) -> None:
        self.tokens = Tokens(database, Audit(clock, open_trail()), clock, entropy, scopes=SCOPES)
        self.delegation = Delegation(self.tokens)
        self._made = 0

    async def token(self, *scopes: str, **parts: Any) -> NewToken:
        self._made += 1
        return await self.tokens.create(OPERATOR, f"token {self._made}", scopes or ["toy:read"], **parts)

    async def giver(self, *scopes: str, **parts: Any) -> Principal:
        made = await self.token(*scopes, **parts)
        return Principal(name="token:giver", scopes=frozenset(scopes), token=made.id)

    async def make(self, giver: Principal, *scopes: str, **parts: Any) -> NewToken:
        self._made += 1
        wish = TokenWish(name=f"token {self._made}", scopes=scopes or ["toy:read"], **parts)
        return await self.delegation.create(giver, wish)


@pytest.fixture
def house(database: Database, clock: ManualClock, entropy: SeededEntropy) -> House:
    return House(database, clock, entropy)


async def test_only_a_token_gives_rights(house: House) -> None:
    made = await house.token()
    nobody = Principal(name="anonymous", scopes=frozenset({"*"}))
    for attempt in (
        house.make(nobody),
        house.delegation.change(nobody, made.id, TokenChange(rate=None)),
        house.delegation.rotate(nobody, made.id, 0),
    ):
        with pytest.raises(Forbidden, match="Only a token makes tokens here") as raised:
            await attempt
        assert raised.value.instance_code == "more_rights"


@pytest.mark.parametrize(
    ("own", "wanted", "more"),
    [
        (["toy:read"], ["toy:read"], None),
        (["toy:read"], ["toy:send"], "lacks the scope toy:send"),
        (["toy:*"], ["toy:send"], None),
        (["*"], ["toy:send"], None),
        (["*"], ["admin:read"], "lacks the scope admin:read"),
        (["admin:read"], ["admin:read"], None),
        (["admin"], ["admin:rules", "toy:send"], None),
        (["admin"], ["toy:approve"], "machine alone"),
        (["admin"], ["toy:export"], "machine alone"),
        (["admin"], ["toy:*"], "machine alone"),
        (["*"], ["*"], "machine alone"),
        (["admin"], ["admin"], "machine alone"),
    ],
)
async def test_a_scope_is_given_by_who_has_it(
    house: House, own: list[str], wanted: list[str], more: str | None
) -> None:
    giver = await house.giver(*own)
    if more is None:
        made = await house.make(giver, *wanted)
        assert (await house.tokens.find(made.id)).scopes == tuple(sorted(wanted))
        return
    with pytest.raises(Forbidden, match=more):
        await house.make(giver, *wanted)


@pytest.mark.parametrize(
    ("narrow", "within", "beyond", "words"),
    [
        ("expires_at_ms", [END_MS, END_MS - 1], [None, END_MS + 1], "live longer"),
        ("limits", [LIMITS], ["", '{"wallets":["hot","cold"]}'], "other limits"),
        (
            "networks",
            [["10.0.0.0/8"], ["10.1.0.0/16", "10.2.3.4"]],
            [(), ["10.1.0.0/16", "11.0.0.0/8"], ["0.0.0.0/0"]],
            "where your token may not be",
        ),
        (
            "rate",
            [parse_rate("60/min"), parse_rate("1/s"), parse_rate("60/h"), parse_rate("59/min")],
            [None, parse_rate("61/min"), parse_rate("2/s"), parse_rate("61/h"), parse_rate("3600/h")],
            "more often",
        ),
    ],
)
async def test_what_narrows_a_token_narrows_what_it_makes_changes_and_rotates(
    house: House, narrow: str, within: list[Any], beyond: list[Any], words: str
) -> None:
    own = {narrow: within[0]}
    giver = await house.giver("toy:read", **own)
    child = await house.token("toy:read", **own)
    for value in within:
        made = await house.make(giver, **{narrow: value})
        await house.delegation.rotate(giver, made.id, 0)
        if narrow != "limits":
            await house.delegation.change(giver, child.id, TokenChange(**{narrow: value}))
    for value in beyond:
        wider = await house.token("toy:read", **{narrow: value})
        attempts = [house.make(giver, **{narrow: value}), house.delegation.rotate(giver, wider.id, 0)]
        if narrow != "limits":
            attempts.append(house.delegation.change(giver, child.id, TokenChange(**{narrow: value})))  # type: ignore[arg-type]
        other = "networks" if narrow == "rate" else "rate"
        harmless: Any = {"networks": ["10.1.0.0/16"], "rate": parse_rate("1/h")}[other]
        attempts.append(house.delegation.change(giver, wider.id, TokenChange(**{other: harmless})))  # type: ignore[arg-type]
        for attempt in attempts:
            with pytest.raises(Forbidden, match=words):
                await attempt
    free = await house.giver("toy:read")
    for value in [*within, *beyond]:
        await house.make(free, **{narrow: value})


async def test_who_is_bound_to_a_certificate_gives_nothing_without_it(house: House) -> None:
    beside, other = [
        {
            "certificate": CertificateBinding(key=key * 32, authority=None, title=f"sha256 {key.hex()}"),
            "certificate_use": CertificateUse.BESIDE,
        }
        for key in (b"a", b"b")
    ]
    giver = await house.giver("toy:read", **beside)
    alike, unlike, free = [await house.token("toy:read", **parts) for parts in (beside, other, {})]
    await house.delegation.rotate(giver, alike.id, 0)
    for attempt in (
        house.make(giver),
        house.delegation.rotate(giver, unlike.id, 0),
        house.delegation.rotate(giver, free.id, 0),
        house.delegation.change(giver, free.id, TokenChange(rate=None)),
    ):
        with pytest.raises(Forbidden, match="without the certificate of your token"):
            await attempt
    await house.delegation.rotate(await house.giver("toy:read"), alike.id, 0)


async def test_a_change_that_names_one_thing_leaves_the_others(house: House) -> None:
    own: dict[str, Any] = {
        "expires_at_ms": END_MS,
        "networks": ["10.0.0.0/8"],
        "rate": parse_rate("1/s"),
    }
    giver = await house.giver("toy:read", **own)
    child = await house.token("toy:read", **own)
    for change in (
        TokenChange(expires_at_ms=END_MS - 1),
        TokenChange(networks=["10.1.0.0/16"]),
        TokenChange(rate=parse_rate("1/h")),
    ):
        await house.delegation.change(giver, child.id, change)
    found = await house.tokens.find(child.id)
    assert (found.expires_at_ms, found.networks, str(found.rate)) == (END_MS - 1, ("10.1.0.0/16",), "1/h")


async def test_a_token_may_rotate_itself_and_no_stronger_one(house: House) -> None:
    boss, other = await house.giver("admin"), await house.giver("admin")
    assert boss.token is not None
    assert other.token is not None
    made = await house.delegation.rotate(boss, boss.token, 500)
    assert made.id == boss.token
    assert (await house.tokens.find(boss.token)).earlier_secret_until_ms == START_MS + 500
    with pytest.raises(Forbidden, match="machine alone"):
        await house.delegation.rotate(boss, other.token, 0)


async def test_rights_that_another_program_wrote_are_not_handed_on(house: House, database: Database) -> None:
    """Whoever can write the database changes a row for the moment in which rights are compared, and puts it back at once."""
    giver, strong = await house.giver("admin:tokens"), await house.token("toy:send")

    async def becomes(token: str | None, *scopes: str) -> None:
        changed = update(tables.token).where(tables.token.c.id == token)
        await database.write(lambda c: c.execute(changed.values(scopes=json.dumps(scopes))))

    await becomes(giver.token, "admin")
    with pytest.raises(Unauthenticated, match="was altered"):
        await house.make(giver, "toy:send")
    await becomes(giver.token, "admin:tokens")
    await becomes(strong.id, "admin:tokens")
    for attempt in (
        house.delegation.rotate(giver, strong.id, 0),
        house.delegation.change(giver, strong.id, TokenChange(rate=parse_rate("5/s"))),
    ):
        with pytest.raises(Unauthenticated, match="was altered"):
            await attempt
