"""Client certificates as credentials of tokens."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from strongroom.core.coordination.rate_limiter import RateLimiter
from strongroom.core.errors import Conflict, Forbidden, InvalidInput, Unauthenticated
from strongroom.core.security.access import ANONYMOUS, OPERATOR, Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.authentication import Gatekeeper, TokenCheck
from strongroom.core.security.certificates import (
    CertificateUse,
    bind_certificate,
    bind_subject,
    read_presented,
)
from strongroom.core.security.credentials import Credentials
from strongroom.core.security.rows.tokens import TokenRows
from strongroom.core.security.stored_tokens import TokenChange
from strongroom.core.security.tokens import Tokens
from strongroom.core.security.upkeep.token_uses import TokenUses
from strongroom.core.storage.database import Database
from support.certificates import Authority, Certificate
from support.clock import ManualClock, SeededEntropy
from support.trail import open_trail

pytestmark = pytest.mark.anyio

SOURCE = "192.0.2.7"
SUBJECT = "/O=Our shop/CN=shop"
NAMED = "O=Our shop,CN=shop"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def shop(authority: Authority) -> Certificate:
    return authority.issue("shop", subject=SUBJECT)


class House:
    def __init__(self, database: Database, clock: ManualClock) -> None:
        self.tokens = Tokens(
            database, Audit(clock, open_trail()), clock, SeededEntropy(), scopes=("toy:read",)
        )
        check = TokenCheck(
            database,
            clock,
            TokenUses(database, Audit(clock, open_trail()), clock),
            RateLimiter(clock),
            TokenRows(open_trail()),
        )
        self.open = Gatekeeper(check, required=False)
        self._closed = Gatekeeper(check, required=True)

    async def identify(self, certificate: Certificate | None, secret: str | None = None) -> Principal:
        return await self._closed.identify(presenting(certificate, secret))


def presenting(certificate: Certificate | None, secret: str | None = None) -> Credentials:
    return Credentials(
        authorization=None if secret is None else f"Bearer {secret}",
        source=SOURCE,
        certificate=None if certificate is None else certificate.der,
    )


@pytest.fixture
def house(database: Database, clock: ManualClock) -> House:
    return House(database, clock)


def subject_of(certificate: Certificate) -> str:
    told = ["openssl", "x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in", str(certificate.path)]
    return (
        subprocess.run(told, capture_output=True, text=True, check=True)
        .stdout.strip()
        .removeprefix("subject=")
    )


async def test_a_certificate_identifies_its_token(
    house: House, authority: Authority, shop: Certificate
) -> None:
    made = await house.tokens.create(
        OPERATOR, "shop", ["toy:read"], certificate=bind_certificate(shop.path.read_bytes())
    )
    assert made.secret == ""
    found = await house.identify(shop)
    assert (found.name, found.token, found.source) == ("token:shop", made.id, SOURCE)
    assert found.scopes == {"toy:read"}
    (token,) = await house.tokens.list()
    assert token.certificate == f"sha256 {shop.fingerprint}"
    assert token.certificate_use is CertificateUse.ALONE
    for stranger in (
        None,
        authority.issue("stranger"),
        authority.own,
        authority.issue("twin", subject=SUBJECT),
    ):
        with pytest.raises(Unauthenticated, match="needs an API token"):
            await house.identify(stranger)
        anonymous = await house.open.identify(presenting(stranger))
        assert anonymous == replace(ANONYMOUS, source=SOURCE)
    # The empty secret that was shown opens nothing, nor does any other.
    for secret in (f"sr_{made.id}_", f"sr_{made.id}_x"):
        with pytest.raises(Unauthenticated, match="is not valid"):
            await house.identify(shop, secret)


async def test_a_subject_of_an_authority_identifies_its_token_also_when_it_is_renewed(
    house: House, authority: Authority, shop: Certificate, tmp_path: Path
) -> None:
    binding = bind_subject(authority.own.path.read_bytes(), subject_of(shop))
    await house.tokens.create(OPERATOR, "shop", ["toy:read"], certificate=binding)
    assert (await house.tokens.list())[0].certificate == f"{subject_of(shop)}, issued by CN=authority"
    renewed = authority.issue("renewed", subject=SUBJECT)
    for certificate in (shop, renewed):
        assert (await house.identify(certificate)).name == "token:shop"
    other = Authority(tmp_path / "other")  # of the same name as the authority
    for stranger in (
        other.issue("shop", subject=SUBJECT),
        authority.issue("else", subject="/O=Our shop/CN=shop2"),
    ):
        with pytest.raises(Unauthenticated):
            await house.identify(stranger)


@pytest.mark.parametrize(
    "bind", [lambda _, shop: bind_certificate(shop), bind_subject], ids=["one", "subject"]
)
async def test_it_ends_with_its_token_and_with_its_own_dates(
    house: House, authority: Authority, clock: ManualClock, bind: Callable[..., Any]
) -> None:
    now = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
    end = now.replace(year=now.year + 1).strftime("%Y%m%d%H%M%SZ")
    short = authority.issue("short", subject="/CN=short", end=end)
    pem = authority.own.path.read_bytes()
    binding = bind(pem, "CN=short" if bind is bind_subject else short.path.read_bytes())
    made = await house.tokens.create(
        OPERATOR, "a", ["toy:read"], clock.now_ms() + 60_000, networks=[SOURCE], certificate=binding
    )
    assert (await house.identify(short)).name == "token:a"
    clock.advance(60)
    with pytest.raises(Unauthenticated, match="has expired"):
        await house.identify(short)
    await house.tokens.change(
        OPERATOR, made.id, TokenChange(expires_at_ms=None, networks=["198.51.100.0/24"])
    )
    with pytest.raises(Forbidden):
        await house.identify(short)
    await house.tokens.change(OPERATOR, made.id, TokenChange(networks=()))
    assert (await house.identify(short)).name == "token:a"
    clock.advance(366 * 86_400)
    with pytest.raises(Unauthenticated, match="The client certificate has expired"):
        await house.identify(short)
    await house.tokens.revoke(OPERATOR, made.id)
    for keeper in (house.identify(short), house.open.identify(presenting(short))):
        with pytest.raises(Unauthenticated):
            await keeper


async def test_a_revoked_token_s_certificate_is_refused_and_may_be_another_s(
    house: House, shop: Certificate
) -> None:
    binding = bind_certificate(shop.path.read_bytes())
    made = await house.tokens.create(OPERATOR, "first", ["toy:read"], certificate=binding)
    await house.tokens.revoke(OPERATOR, made.id)
    for keeper in (house.identify(shop), house.open.identify(presenting(shop))):
        with pytest.raises(Unauthenticated, match="was revoked"):
            await keeper
    await house.tokens.create(OPERATOR, "second", ["toy:read"], certificate=binding)
    assert (await house.identify(shop)).name == "token:second"
    await house.tokens.create(OPERATOR, "third", ["toy:read"], certificate=binding)
    with pytest.raises(Unauthenticated, match="Several API tokens"):
        await house.identify(shop)


async def test_a_secret_may_count_only_beside_a_certificate(
    house: House, authority: Authority, shop: Certificate
) -> None:
    made = await house.tokens.create(
        OPERATOR,
        "both",
        ["toy:read"],
        certificate=bind_certificate(shop.path.read_bytes()),
        certificate_use=CertificateUse.BESIDE,
    )
    assert (await house.identify(shop, made.secret)).name == "token:both"
    for certificate in (None, authority.issue("stranger")):
        with pytest.raises(Unauthenticated, match="only on a connection with its client certificate"):
            await house.identify(certificate, made.secret)
    with pytest.raises(Unauthenticated, match="needs an API token"):
        await house.identify(shop)
    with pytest.raises(Unauthenticated, match="is not valid"):
        await house.identify(shop, made.secret + "x")
    rotated = await house.tokens.rotate(OPERATOR, made.id)
    assert (await house.identify(shop, rotated.secret)).name == "token:both"


async def test_a_certificate_beside_a_secret_ends_on_its_own_date(
    house: House, authority: Authority, clock: ManualClock
) -> None:
    now = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
    end = now.replace(year=now.year + 1).strftime("%Y%m%d%H%M%SZ")
    short = authority.issue("brief", end=end)
    made = await house.tokens.create(
        OPERATOR,
        "both",
        ["toy:read"],
        certificate=bind_certificate(short.path.read_bytes()),
        certificate_use=CertificateUse.BESIDE,
    )
    assert (await house.identify(short, made.secret)).name == "token:both"
    clock.advance(366 * 86_400)
    with pytest.raises(Unauthenticated, match="only on a connection with its client certificate"):
        await house.identify(short, made.secret)


async def test_a_secret_beside_a_subject_needs_that_subject_of_that_authority(
    house: House, authority: Authority, shop: Certificate, tmp_path: Path
) -> None:
    made = await house.tokens.create(
        OPERATOR,
        "both",
        ["toy:read"],
        certificate=bind_subject(authority.own.path.read_bytes(), NAMED),
        certificate_use=CertificateUse.BESIDE,
    )
    assert (await house.identify(shop, made.secret)).name == "token:both"
    for stranger in (
        authority.issue("neighbour", subject="/O=Our shop/CN=neighbour"),
        Authority(tmp_path / "other").issue("shop", subject=SUBJECT),
        authority.own,
    ):
        with pytest.raises(Unauthenticated, match="only on a connection with its client certificate"):
            await house.identify(stranger, made.secret)


def test_a_certificate_counts_from_its_first_moment_and_not_in_its_last(shop: Certificate) -> None:
    presented = read_presented(shop.der)
    assert presented is not None
    begin_ms, end_ms = presented.not_before_ms, presented.not_after_ms
    counts = [presented.is_current(at_ms) for at_ms in (begin_ms - 1, begin_ms, end_ms - 1, end_ms)]
    assert counts == [False, True, True, False]


async def test_a_certificate_is_replaced_and_a_secret_is_not_mixed_up_with_it(
    house: House, authority: Authority, shop: Certificate
) -> None:
    new = authority.issue("new")
    made = await house.tokens.create(
        OPERATOR, "a", ["toy:read"], certificate=bind_certificate(shop.path.read_bytes())
    )
    with pytest.raises(Conflict, match="no secret"):
        await house.tokens.rotate(OPERATOR, made.id)
    changed = await house.tokens.change(
        OPERATOR, made.id, TokenChange(certificate=bind_certificate(new.path.read_bytes()))
    )
    assert changed.certificate == f"sha256 {new.fingerprint}"
    assert (await house.identify(new)).name == "token:a"
    with pytest.raises(Unauthenticated):
        await house.identify(shop)
    plain = await house.tokens.create(OPERATOR, "plain", ["toy:read"])
    with pytest.raises(Conflict, match="no certificate"):
        await house.tokens.change(
            OPERATOR, plain.id, TokenChange(certificate=bind_certificate(shop.path.read_bytes()))
        )
    assert (await house.identify(new, plain.secret)).name == "token:plain"  # what is said counts first


def test_what_is_no_certificate_is_told(authority: Authority) -> None:
    with pytest.raises(InvalidInput, match="no certificate in PEM form"):
        bind_certificate(b"nothing")
    for subject in ("", "shop", "CN=" + "x" * 600):
        with pytest.raises(InvalidInput):
            bind_subject(authority.own.path.read_bytes(), subject)
    assert read_presented(b"nothing") is None
