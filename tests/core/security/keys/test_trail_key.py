"""The secret of the trail: derived keys, and nothing while it is closed."""

import hmac

import pytest

from strongroom.core.errors import Sealed
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.trail.rows import keys_of

SECRET = bytes(range(32))


def test_each_purpose_has_a_key_of_its_own() -> None:
    key = TrailKey(SECRET)
    assert key.derive(b"audit") == TrailKey(SECRET).derive(b"audit")
    assert len({key.derive(b"audit"), key.derive(b"rows"), SECRET}) == 3
    assert TrailKey(SECRET[::-1]).derive(b"audit") != key.derive(b"audit")


def test_a_closed_one_gives_nothing() -> None:
    key = TrailKey(SECRET)
    key.derive(b"audit")
    key.close()
    assert not key.is_open
    with pytest.raises(Sealed, match="strongroom unseal"):
        key.derive(b"audit")
    key.open(SECRET[::-1])
    assert key.derive(b"audit") == TrailKey(SECRET[::-1]).derive(b"audit")


def test_it_shows_no_secret_and_takes_no_short_one() -> None:
    assert repr(TrailKey(SECRET)) == "TrailKey(open)"
    assert repr(TrailKey()) == "TrailKey(closed)"
    assert repr(keys_of(TrailKey(SECRET))) == "TrailKeys(hidden)"
    with pytest.raises(ValueError, match="32 bytes"):
        TrailKey(b"short")


def test_what_is_derived_stays_the_same_over_versions() -> None:
    """HKDF-SHA256 (RFC 5869) with no salt, one block: every row of the trail and every tag was made with it."""
    pseudorandom = hmac.digest(bytes(32), SECRET, "sha256")
    key = TrailKey(SECRET)
    for _ in range(2):
        assert key.derive(b"audit") == hmac.digest(pseudorandom, b"audit\x01", "sha256")


def test_a_closed_one_says_why() -> None:
    key = TrailKey(SECRET)
    key.close("The disk is away")
    with pytest.raises(Sealed, match="The disk is away"):
        key.derive(b"audit")
    key.open(SECRET)
    key.close()
    with pytest.raises(Sealed, match="An operator unseals it first"):
        key.derive(b"audit")


def test_another_secret_takes_no_derived_key_of_the_one_before() -> None:
    key = TrailKey(SECRET)
    key.derive(b"audit")
    key.open(SECRET[::-1])
    assert key.derive(b"audit") == TrailKey(SECRET[::-1]).derive(b"audit")
    with pytest.raises(Sealed, match="An operator unseals it first"):
        TrailKey().derive(b"audit")
