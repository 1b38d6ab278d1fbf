"""One writer at a time for what follows from the chain, from the first one on."""

import asyncio
from functools import partial

import pytest

from strongroom.core.storage.database import Database
from strongroom.hathor.index.writer_lock import NO_EVENT, lock_ledger
from strongroom.hathor.maintenance.deletion import delete_wallet
from support.another_process import Elsewhere, another_process, until_waiting
from support.hathor.streams import prepare
from support.hathor.wallets import WALLET, insert_wallet

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("database_url", ["mariadb"], indirect=True),  # SQLite has one writer anyway
]


async def test_the_first_writers_of_a_new_database_take_turns(
    database: Database, elsewhere: Elsewhere
) -> None:
    """Both find no row to lock: the other process's, which they waited for, was rolled back."""
    await prepare(database)
    async with another_process(database) as cursor:
        await cursor.execute("INSERT INTO sync_metadata (id, last_event_id, updated_at) VALUES (0, 9, '0')")
        writers = [asyncio.ensure_future(database.write(lock_ledger)) for _ in range(2)]
        await until_waiting(elsewhere, len(writers))
    assert await asyncio.gather(*writers) == [NO_EVENT] * len(writers)


async def test_a_wallet_goes_only_when_the_sync_is_not_in_the_midst_of_it(
    database: Database, elsewhere: Elsewhere
) -> None:
    await prepare(database)
    await database.write(insert_wallet)
    await database.write(lock_ledger)
    async with another_process(database) as sync:
        await sync.execute("SELECT last_event_id FROM sync_metadata WHERE id = 0 FOR UPDATE")
        deletion = asyncio.ensure_future(database.write(partial(delete_wallet, wallet_id=WALLET)))
        await until_waiting(elsewhere, 1)
        assert not deletion.done()
    await deletion
    assert elsewhere("SELECT COUNT(*) FROM wallet") == [["0"]]
