"""The trail's secret of a ledger without key-encryption key: it outlives a change of the secret that keeps it."""

import hmac

import pytest
from sqlalchemy import delete, update

from strongroom.core.errors import VaultError
from strongroom.core.security.keys.kept import look_at_kept, open_kept
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.clock import SeededEntropy

pytestmark = pytest.mark.anyio

FIRST, SECOND, OTHER = b"first" * 8, b"second" * 8, b"other" * 8


async def opened(database: Database, *given: bytes) -> bytes:
    return await open_kept(database, given, SeededEntropy())


async def test_it_stays_when_the_operator_changes_the_secret(database: Database) -> None:
    at_first = await opened(database, FIRST)
    assert await opened(database, FIRST) == at_first
    assert await opened(database, SECOND, FIRST) == at_first
    assert await opened(database, SECOND) == at_first, "the one before is not needed any more"
    assert await database.read(lambda connection: look_at_kept(connection, [SECOND])) == at_first


async def test_a_wrong_one_that_is_given_for_a_while_loses_nothing(database: Database) -> None:
    at_first = await opened(database, FIRST)
    assert await opened(database, OTHER) != at_first
    assert await opened(database, FIRST) == at_first


async def test_who_only_reads_keeps_nothing(database: Database) -> None:
    seen = await database.read(lambda connection: look_at_kept(connection, [FIRST]))
    assert not await database.fetch_all(tables.secret.select())
    assert await opened(database, FIRST) == seen


async def test_the_database_shows_neither_the_secret_nor_what_keeps_it(database: Database) -> None:
    secret = await opened(database, FIRST)
    [row] = await database.fetch_all(tables.secret.select())
    assert secret not in row.sealed
    assert FIRST not in row.sealed
    assert FIRST.hex()[:16] not in row.purpose


async def test_a_row_that_was_changed_is_refused(database: Database) -> None:
    await opened(database, FIRST)
    [(kept_by_first, *_)] = await database.fetch_all(tables.secret.select())
    await opened(database, OTHER)
    rows = await database.fetch_all(tables.secret.select())
    by_purpose = tables.secret.c.purpose
    swapped = update(tables.secret).where(by_purpose == rows[0].purpose).values(sealed=rows[1].sealed)
    await database.write(lambda connection: connection.execute(swapped))
    swapped_given = FIRST if rows[0].purpose == kept_by_first else OTHER
    with pytest.raises(VaultError, match="Restore the table") as refused:
        await opened(database, swapped_given)
    assert refused.value.instance_code == "wrong_key"


async def test_a_row_that_was_removed_opens_nothing_that_was_not_given(database: Database) -> None:
    at_first = await opened(database, FIRST)
    await opened(database, SECOND, FIRST)
    await database.write(lambda connection: connection.execute(delete(tables.secret)))
    assert await opened(database, SECOND) != at_first
    assert await opened(database, FIRST) == at_first


@pytest.mark.parametrize("given", [(SECOND, FIRST), (FIRST,)])
async def test_processes_that_start_together_agree(database: Database, given: tuple[bytes, ...]) -> None:
    await opened(database, FIRST)
    assert await opened(database, *given) == await opened(database, *given)


async def test_what_is_derived_stays_the_same_over_versions(database: Database) -> None:
    """HKDF-SHA256 (RFC 5869) with no salt, one block."""
    pseudorandom = hmac.digest(bytes(32), FIRST, "sha256")
    assert await opened(database, FIRST) == hmac.digest(pseudorandom, b"strongroom trail v1\x01", "sha256")
    [row] = await database.fetch_all(tables.secret.select())
    name = hmac.digest(pseudorandom, b"strongroom kept trail name v1\x01", "sha256").hex()[:32]
    assert (row.purpose, row.key_version) == (f"trail {name}", 0)
