"""Who is behind what a request presents."""

import hmac
from collections.abc import Callable

import pytest
from msgspec import UNSET

from strongroom.core.coordination.rates import Rate
from strongroom.core.errors import StrongroomError, Unauthenticated
from strongroom.core.security.access import ANONYMOUS, OPERATOR, Principal
from strongroom.core.security.credentials import Credentials
from strongroom.core.security.rows.tokens import TokenRows
from strongroom.core.security.stored_tokens import TokenChange
from strongroom.core.storage.database import Database
from support.clock import START_MS, ManualClock, SeededEntropy
from support.tokens import TokenHouse, bearing
from support.trail import open_trail

Elsewhere = Callable[[str], list[list[str]]]

NOT_VALID = "The API token is not valid"


@pytest.fixture
def house(database: Database, clock: ManualClock, entropy: SeededEntropy) -> TokenHouse:
    return TokenHouse(database, clock, entropy)


async def test_a_token_leads_to_its_principal(house: TokenHouse) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["atto:send", "atto:read", "atto:send"])
    assert new.secret.startswith(f"sr_{new.id}_")
    principal = await house.principal(new.secret)
    scopes = frozenset({"atto:read", "atto:send"})
    assert principal == Principal(name="token:ci", scopes=scopes, token=new.id)
    limited = await house.tokens.create(OPERATOR, "cd", ["atto:read"], limits='{"wallets":[]}')
    assert (await house.principal(limited.secret)).limits == '{"wallets":[]}'


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
async def test_what_is_no_token_is_refused(house: TokenHouse, presented: str) -> None:
    await house.tokens.create(OPERATOR, "ci", ["*"])
    assert await house.refusal(presented) == NOT_VALID


async def test_one_message_for_a_wrong_id_and_a_wrong_secret(
    house: TokenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, other = (
        await house.tokens.create(OPERATOR, "ci", ["*"]),
        await house.tokens.create(OPERATOR, "cd", ["*"]),
    )
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def noted(stored: bytes, presented: bytes) -> bool:
        compared.append((stored, presented))
        return compare(stored, presented)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    secret = new.secret.rpartition("_")[2]
    wrong = [f"sr_{other.id}_{secret}", f"sr_{'0' * 16}_{secret}", f"xx_{new.id}_{secret}", new.secret[:-1]]
    assert [await house.refusal(presented) for presented in wrong] == [NOT_VALID] * len(wrong)
    assert len(compared) == 2 * len(wrong), "both comparisons are made though the id is unknown"


async def test_a_token_ends_at_its_expiry(house: TokenHouse, clock: ManualClock) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["*"], expires_at_ms=START_MS + 1000)
    clock.advance(0.999)
    await house.principal(new.secret)
    clock.advance(0.001)
    assert await house.refusal(new.secret) == "The API token has expired"


async def test_only_its_owner_learns_that_a_token_ended(house: TokenHouse, clock: ManualClock) -> None:
    expired = await house.tokens.create(OPERATOR, "expired", ["*"], expires_at_ms=clock.now_ms())
    revoked = await house.tokens.create(OPERATOR, "revoked", ["*"])
    await house.tokens.revoke(OPERATOR, revoked.id)
    assert await house.refusal(f"sr_{expired.id}_guess") == NOT_VALID
    assert await house.refusal(f"sr_{revoked.id}_guess") == NOT_VALID


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (TokenChange(expires_at_ms=START_MS), "The API token has expired"),
        (TokenChange(networks=["192.0.2.0/24"]), "The token may not be used from this address"),
        (TokenChange(rate=Rate(requests=1, seconds=3600)), "More than 1/h requests with this token"),
    ],
)
async def test_a_change_counts_for_the_next_request_in_every_process(
    house: TokenHouse,
    replica: Database,
    clock: ManualClock,
    entropy: SeededEntropy,
    change: TokenChange,
    refusal: str,
) -> None:
    elsewhere = TokenHouse(replica, clock, entropy)
    new = await house.tokens.create(OPERATOR, "ci", ["*"])
    for _ in range(3):
        await elsewhere.principal(new.secret, "192.0.3.1")
    await house.tokens.change(OPERATOR, new.id, change)
    if change.rate is not UNSET:
        await elsewhere.principal(new.secret, "192.0.3.1")
    with pytest.raises(StrongroomError, match=refusal):
        await elsewhere.principal(new.secret, "192.0.3.1")


async def test_a_revoked_token_is_refused_at_once_by_every_process(
    house: TokenHouse, replica: Database, clock: ManualClock, entropy: SeededEntropy
) -> None:
    new, other = (
        await house.tokens.create(OPERATOR, "ci", ["*"]),
        await house.tokens.create(OPERATOR, "cd", ["*"]),
    )
    await house.tokens.revoke(OPERATOR, new.id)
    elsewhere = TokenHouse(replica, clock, entropy)
    assert await elsewhere.refusal(new.secret) == "The API token was revoked"
    await elsewhere.principal(other.secret)


async def test_nothing_is_signed_for_a_token_that_is_revoked_or_gone(house: TokenHouse) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["*"], expires_at_ms=START_MS)
    revoked = await house.tokens.create(OPERATOR, "cd", ["*"])
    await house.tokens.revoke(OPERATOR, revoked.id)

    async def require(token: str | None) -> None:
        principal = Principal(name="token:ci", scopes=frozenset(), token=token)
        rows = TokenRows(open_trail())
        await house.database.write(lambda connection: rows.require_unrevoked(connection, principal))

    await require(None)
    await require(new.id)  # expired since: it was valid when the request was made
    for token in (revoked.id, "0000000000000000"):
        with pytest.raises(Unauthenticated, match="was revoked"):
            await require(token)


async def test_an_open_surface_takes_who_comes_but_a_token_counts(house: TokenHouse) -> None:
    gatekeeper = house.gate(required=False)
    new = await house.tokens.create(OPERATOR, "ci", ["atto:read"])
    assert await gatekeeper.identify(Credentials()) == ANONYMOUS
    assert (await gatekeeper.identify(bearing(new))).scopes == {"atto:read"}
    with pytest.raises(Unauthenticated, match=NOT_VALID):
        await gatekeeper.identify(Credentials(authorization=f"Bearer {new.secret}x"))


async def test_a_closed_surface_needs_a_token(house: TokenHouse) -> None:
    gatekeeper = house.gate(required=True)
    new = await house.tokens.create(OPERATOR, "ci", ["atto:read"])
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
async def test_the_principal_is_where_the_request_came_from(house: TokenHouse, required: bool) -> None:
    gatekeeper = house.gate(required=required)
    new = await house.tokens.create(OPERATOR, "ci", ["atto:read"])
    assert (await gatekeeper.identify(bearing(new, source="192.0.2.1"))).source == "192.0.2.1"
    if not required:
        anonymous = await gatekeeper.identify(Credentials(source="2001:db8::/64"))
        assert (anonymous.name, anonymous.source) == (ANONYMOUS.name, "2001:db8::/64")


def test_what_is_presented_does_not_print() -> None:
    assert repr(Credentials(authorization="Bearer sr_1_x", source="::1", certificate=b"der")) == (
        "Credentials(source='::1')"
    )
