"""Secrets that the database keeps under the key-encryption key."""

from functools import partial

import pytest
from sqlalchemy import Connection, update

from strongroom.core.errors import VaultError
from strongroom.core.security.keys.ring import CHECKPOINT, TRAIL, KeyRing, ring_of
from strongroom.core.security.keys.secrets import look_at_secret, open_secrets, renew_secrets, reseal_secrets
from strongroom.core.security.keys.source import FoundKey
from strongroom.core.security.keys.versions import KeyState, KeyVersion, add_version
from strongroom.core.security.vault import KeyEncryptionKey
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.clock import SeededEntropy

pytestmark = pytest.mark.anyio

OLD, NEW = (KeyEncryptionKey(bytes([first, *range(31)])) for first in (1, 2))


async def opened(database: Database, ring: KeyRing) -> tuple[bytes, bytes]:
    await open_secrets(database, ring, SeededEntropy())
    return ring.secret(TRAIL), ring.secret(CHECKPOINT)


async def test_the_first_are_derived_so_that_processes_that_start_together_agree(database: Database) -> None:
    first = await opened(database, ring_of(OLD))
    assert first == (OLD.derive(b"strongroom trail v1"), OLD.derive(b"strongroom checkpoint v1"))
    assert await opened(database, ring_of(OLD)) == first


async def test_they_stay_when_another_key_seals_them(database: Database) -> None:
    first = await opened(database, ring_of(OLD))
    both = KeyRing()
    both.open({1: OLD, 2: NEW}, 2)
    await open_secrets(database, both, SeededEntropy())
    await database.write(lambda connection: renew_secrets(connection, both, SeededEntropy()))
    assert (both.secret(TRAIL), both.secret(CHECKPOINT)) == first
    assert await opened(database, ring_of(NEW, 2)) == first
    with pytest.raises(VaultError, match="does not open with version 2"):
        await opened(database, ring_of(OLD, 2))


async def test_two_of_them_cannot_be_exchanged(database: Database) -> None:
    await opened(database, ring_of(OLD))
    rows = await database.fetch_all(tables.secret.select())
    sealed = {row.purpose: row.sealed for row in rows}
    swap = update(tables.secret).where(tables.secret.c.purpose == "trail").values(sealed=sealed["checkpoint"])
    await database.write(lambda connection: connection.execute(swap))
    with pytest.raises(VaultError, match="The secret trail in strongroom_secret does not open"):
        await opened(database, ring_of(OLD))


async def test_after_a_change_of_the_key_removed_ones_are_not_made_anew(database: Database) -> None:
    versions = [
        KeyVersion(version=version, state=state, check=key.check(), created_at_ms=0)
        for version, state, key in ((1, KeyState.REPLACED, OLD), (2, KeyState.ACTIVE, NEW))
    ]

    def add(connection: Connection) -> None:
        for one in versions:
            add_version(connection, one)

    await database.write(add)
    with pytest.raises(VaultError, match="strongroom_secret") as raised:
        await opened(database, ring_of(NEW, 2))
    assert raised.value.instance_code == "secrets_missing"


async def test_those_whose_key_is_lost_begin_anew(database: Database) -> None:
    await opened(database, ring_of(OLD))
    lost = ring_of(NEW, 2)
    await database.write(lambda connection: renew_secrets(connection, lost, SeededEntropy()))
    fresh = lost.secret(TRAIL)
    assert fresh == NEW.derive(b"strongroom trail v1")
    assert (await opened(database, ring_of(NEW, 2)))[0] == fresh


async def test_who_only_reads_finds_the_same_and_stores_nothing(database: Database) -> None:
    found = [FoundKey(key=OLD, origin="ATTO_KEY")]
    for purpose in (TRAIL, CHECKPOINT):
        seen = await database.read(partial(look_at_secret, found=found, purpose=purpose))
        assert seen == OLD.derive(b"strongroom %s v1" % purpose)
    assert not await database.fetch_all(tables.secret.select())
    first = await opened(database, ring_of(OLD))
    assert await database.read(partial(look_at_secret, found=found, purpose=CHECKPOINT)) == first[1]
    with pytest.raises(VaultError, match="is not here") as raised:
        await database.read(partial(look_at_secret, found=[], purpose=TRAIL))
    assert raised.value.instance_code == "key_missing"


async def test_who_only_reads_needs_the_active_key(database: Database) -> None:
    first = await opened(database, ring_of(OLD))
    both = KeyRing()
    both.open({1: OLD, 2: NEW}, 2)
    versions = [
        KeyVersion(version=version, state=state, check=key.check(), created_at_ms=0)
        for version, state, key in ((1, KeyState.REPLACED, OLD), (2, KeyState.ACTIVE, NEW))
    ]

    def rotate(connection: Connection) -> None:
        for one in versions:
            add_version(connection, one)
        reseal_secrets(connection, both, SeededEntropy())

    await database.write(rotate)
    old, new = (FoundKey(key=key, origin="ATTO_KEY") for key in (OLD, NEW))
    assert await database.read(partial(look_at_secret, found=[old, new], purpose=TRAIL)) == first[0]
    assert await database.read(partial(look_at_secret, found=[new], purpose=TRAIL)) == first[0]
    with pytest.raises(VaultError, match="ATTO_KEY is not the one") as raised:
        await database.read(partial(look_at_secret, found=[old], purpose=TRAIL))
    assert raised.value.instance_code == "wrong_key"
    rows = await database.fetch_all(tables.secret.select())
    assert {row.key_version for row in rows} == {2}
    await database.write(lambda connection: reseal_secrets(connection, both, SeededEntropy(5)))
    assert await database.fetch_all(tables.secret.select()) == rows, "they are sealed under it already"
