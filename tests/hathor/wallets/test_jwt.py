"""Our tokens against PyJWT's plain functions: each takes the other's, and what is refused."""

import base64
import uuid
from typing import Any

import jwt
import pytest

from strongroom.core.environment import Secret
from strongroom.core.errors import Unauthenticated
from strongroom.hathor.wallets.jwt import LIFETIME_S, MAX_TOKEN, Principal, Tokens
from support.clock import ManualClock, SeededEntropy

SECRET = "a secret that is as long as the hash"
WALLET = "ab" * 32
KEPT = {"verify_exp": False, "verify_iat": False}  # its clock is not the test's


def _tokens(clock: ManualClock) -> Tokens:
    return Tokens([Secret(SECRET)], clock, SeededEntropy())


def _made(clock: ManualClock, secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    wanted = {"wid": WALLET, "mode": "ro", "exp": clock.now_ms() // 1000 + 60, **claims}
    return jwt.encode({name: value for name, value in wanted.items() if value is not None}, secret, algorithm)


def test_each_takes_the_others(clock: ManualClock) -> None:
    ours = _tokens(clock).issue_read_only(wallet_id=WALLET, auth_address="H")
    claims = jwt.decode(ours, SECRET, algorithms=["HS256"], options=KEPT)  # type: ignore[arg-type]  # all of one type
    now_s = clock.now_ms() // 1000
    assert uuid.UUID(claims.pop("jti")).version == 4
    expected = {"wid": WALLET, "auth": "H", "mode": "ro", "iat": now_s, "exp": now_s + LIFETIME_S}
    assert claims == expected
    assert jwt.get_unverified_header(ours) == {"alg": "HS256", "typ": "JWT"}
    assert isinstance(_tokens(clock).verify(_made(clock)), Principal)


@pytest.mark.parametrize(
    "changed",
    [
        {"algorithm": "none", "secret": ""},
        {"algorithm": "HS384"},
        {"algorithm": "HS512"},
        {"secret": SECRET + "."},
        {"exp": None},
        {"exp": "2000000000"},
        {"exp": 1},
        {"wid": None},
        {"wid": 7},
        {"jti": "x" * MAX_TOKEN},
    ],
)
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_what_is_refused(clock: ManualClock, changed: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        _tokens(clock).verify(_made(clock, **changed))


def test_no_change_of_a_token_is_taken(clock: ManualClock) -> None:
    """Every single letter counts, but for the bits of the last one that base64 leaves over."""
    token = _tokens(clock).issue_read_only(wallet_id=WALLET, auth_address="H")
    for place in range(len(token) - 1):
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(Unauthenticated):
            _tokens(clock).verify(token[:place] + other + token[place + 1 :])


def test_a_token_that_was_taken_ends_at_its_time(clock: ManualClock) -> None:
    tokens = _tokens(clock)
    token = tokens.issue_read_only(wallet_id=WALLET, auth_address="H")
    assert tokens.verify(token).wallet_id == WALLET
    clock.advance(LIFETIME_S)
    with pytest.raises(Unauthenticated):
        tokens.verify(token)


def test_what_is_no_token_is_refused(clock: ManualClock) -> None:
    deep = base64.urlsafe_b64encode(b"[" * 2_000).decode().rstrip("=")
    listed = base64.urlsafe_b64encode(b"[1]").decode().rstrip("=")
    for token in (
        "",
        ".",
        "..",
        "a.b.c",
        "é.é.é",
        f"{deep}.e30.AA",
        f"{listed}.e30.AA",
        "e30.e30.AA",
        "=.=.=",
    ):
        with pytest.raises(Unauthenticated):
            _tokens(clock).verify(token)


@pytest.mark.parametrize("payload", [b"[]", b"7", b"nonsense", b"[" * 2_000])
def test_a_sealed_payload_that_is_no_object_is_refused(clock: ManualClock, payload: bytes) -> None:
    token = jwt.PyJWS().encode(payload, SECRET.encode(), "HS256")
    with pytest.raises(Unauthenticated):
        _tokens(clock).verify(token)


def test_every_secret_counts_and_the_first_one_signs(clock: ManualClock) -> None:
    old = _tokens(clock).issue_read_only(wallet_id=WALLET, auth_address="H")
    rotated = Tokens([Secret("new" * 20), Secret(SECRET)], clock, SeededEntropy())
    assert rotated.verify(old).wallet_id == WALLET
    fresh = rotated.issue_read_only(wallet_id=WALLET, auth_address="H")
    with pytest.raises(Unauthenticated):
        _tokens(clock).verify(fresh)


def test_a_short_secret_of_an_original_signs_without_a_warning(clock: ManualClock) -> None:
    tokens = Tokens([Secret("foobar")], clock, SeededEntropy())
    assert tokens.verify(tokens.issue_read_only(wallet_id=WALLET, auth_address="H")).wallet_id == WALLET
