"""The keys of a ledger by version, and what is left of them when the ring is closed."""

from functools import partial

import pytest

from strongroom.core.errors import Sealed, VaultError
from strongroom.core.security.keys.ring import CHECKPOINT, TRAIL, KeyRing, ring_of
from strongroom.core.security.vault import KeyEncryptionKey, seal

OLD, NEW, OTHER = (KeyEncryptionKey(bytes([first, *range(31)])) for first in (1, 2, 3))
NONCE = bytes(12)


def sealed(key: KeyEncryptionKey) -> bytes:
    return seal(key.reveal(), b"gold", NONCE)


@pytest.fixture
def ring() -> KeyRing:
    ring = KeyRing()
    ring.open({1: OLD, 2: NEW}, 2)
    return ring


def test_what_any_version_sealed_is_opened_and_its_version_told(ring: KeyRing) -> None:
    assert (ring.version, ring.current, ring.versions) == (2, NEW, frozenset({1, 2}))
    assert [ring.unseal(sealed(key)) for key in (OLD, NEW)] == [b"gold", b"gold"]
    assert [ring.version_of(sealed(key)) for key in (OLD, NEW, OTHER)] == [1, 2, None]
    with pytest.raises(VaultError, match="cannot be opened"):
        ring.unseal(sealed(OTHER))


def test_each_version_derives_its_own(ring: KeyRing) -> None:
    assert ring.derive(1, b"one") == OLD.derive(b"one") == ring.derive(1, b"one")
    assert len({ring.derive(version, purpose) for version in (1, 2) for purpose in (b"one", b"two")}) == 4
    with pytest.raises(VaultError, match="version 3 of the key-encryption key is not here"):
        ring.derive(3, b"one")


def test_secrets_stay_when_the_keys_change(ring: KeyRing) -> None:
    with pytest.raises(VaultError, match="the secret trail was not read"):
        ring.secret(TRAIL)
    ring.keep({TRAIL: b"secret"})
    ring.open({3: OTHER}, 3)
    assert (ring.secret(TRAIL), ring.versions) == (b"secret", frozenset({3}))
    with pytest.raises(ValueError, match="the current version 4 is not among"):
        ring.open({3: OTHER}, 4)


def test_a_closed_ring_has_nothing(ring: KeyRing) -> None:
    ring.keep({TRAIL: b"secret"})
    ring.close()
    assert (ring.is_open, ring.versions) == (False, frozenset())
    for use in (
        lambda: ring.version,
        lambda: ring.current,
        lambda: ring.key(2),
        lambda: ring.derive(2, b"one"),
        lambda: ring.unseal(sealed(NEW)),
        lambda: ring.version_of(sealed(NEW)),
        lambda: ring.secret(TRAIL),
    ):
        with pytest.raises(Sealed, match="An operator unseals it first"):
            use()
    ring.open({2: NEW}, 2)
    with pytest.raises(VaultError, match="was not read"):
        ring.secret(TRAIL)


def test_it_shows_no_key(ring: KeyRing) -> None:
    assert repr(ring) == "KeyRing(versions [1, 2])"
    ring.close()
    assert repr(ring) == "KeyRing(closed)"
    assert (ring_of(OLD).version, ring_of(OLD, 7).version) == (1, 7)


def test_whoever_opened_something_with_it_is_told_each_time_that_it_closes(ring: KeyRing) -> None:
    told: list[tuple[str, bool]] = []

    def note(name: str) -> None:
        told.append((name, ring.is_open))

    for name in ("wallets", "webhooks"):
        ring.when_closed(partial(note, name))
    ring.require_open()
    for _ in range(2):
        ring.close()
        ring.open({2: NEW}, 2)
    assert told == [("wallets", False), ("webhooks", False)] * 2


def test_a_closed_ring_knows_nothing_of_secrets(ring: KeyRing) -> None:
    ring.keep({TRAIL: b"secret"})
    assert [ring.has_secret(purpose) for purpose in (TRAIL, CHECKPOINT)] == [True, False]
    ring.close()
    for use in (ring.require_open, lambda: ring.has_secret(TRAIL), lambda: ring.keep({TRAIL: b"secret"})):
        with pytest.raises(Sealed):
            use()


def test_keys_that_follow_take_no_derived_key_of_those_before(ring: KeyRing) -> None:
    assert ring.derive(2, b"one") == NEW.derive(b"one")
    ring.open({2: OTHER}, 2)
    assert ring.derive(2, b"one") == OTHER.derive(b"one")
