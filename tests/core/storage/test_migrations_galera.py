"""Processes that migrate one database over two nodes of a cluster: GET_LOCK of one node says nothing to the other."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from strongroom.core.errors import Unavailable
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import LEASE, LEASE_S, migrate
from strongroom.registry import OWN
from support.clock import ManualClock
from support.databases import execute_elsewhere
from support.galera import Galera
from support.processes import python
from support.waiting import until_true

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

MIGRATE = """
import asyncio, sys, time
from pathlib import Path
from sqlalchemy.engine import make_url
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate
from strongroom.registry import OWN

async def main():
    database = Database(make_url(sys.argv[1]))
    await migrate(database, [ledger.revisions for ledger in OWN if ledger.name == sys.argv[3]])
    await database.close()

print("loaded", flush=True)
deadline = time.monotonic() + 20
while not Path(sys.argv[2]).exists() and time.monotonic() < deadline:
    time.sleep(0.001)
asyncio.run(main())
"""
LEFT = "SELECT COUNT(*) FROM strongroom_lease"
WITHOUT_KEY = (
    "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name NOT IN"
    " (SELECT table_name FROM information_schema.statistics WHERE table_schema = DATABASE() AND index_name = 'PRIMARY')"
)
"""The nodes compare transactions by the keys of their rows."""
CREATE = (
    "CREATE TABLE strongroom_lease (name VARCHAR(190), holder VARCHAR(64), fence BIGINT, expires_at_ms BIGINT,"
    " PRIMARY KEY (name)); INSERT INTO strongroom_lease VALUES "
)


@pytest.mark.parametrize("ledger", [ledger.name for ledger in OWN])
def test_processes_at_two_nodes_migrate_once(galera: Galera, tmp_path: Path, ledger: str) -> None:
    name, start = galera.new_database(), tmp_path / "start"
    galera.catch_up()
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                python(MIGRATE, node.url(name).render_as_string(hide_password=False), str(start), ledger)
            )
            for node in (galera.first, galera.second)
        ]
        for process in processes:
            process.wait_for("loaded")
        start.touch()
        failed = [process.logs() for process in processes if process.wait_end() != 0]
    assert failed == []
    galera.catch_up()
    assert execute_elsewhere(galera.second.url(name), LEFT) == [["0"]]
    assert execute_elsewhere(galera.second.url(name), WITHOUT_KEY) == []


async def test_the_lease_of_a_process_that_died_at_the_other_node_is_waited_for(
    galera: Galera, clock: ManualClock
) -> None:
    name = galera.new_database()
    row = f"('{LEASE}', 'other/1', 0, {clock.now_ms() + int(LEASE_S * 1000)})"
    await asyncio.to_thread(execute_elsewhere, galera.first.url(name), CREATE + row)
    await asyncio.to_thread(galera.catch_up)
    database = Database(galera.second.url(name), clock=clock)
    migrating = asyncio.create_task(migrate(database, []))

    async def waits() -> bool:
        listed = await asyncio.to_thread(execute_elsewhere, galera.second.url(), "SHOW FULL PROCESSLIST")
        return any("SELECT SLEEP" in str(row) for row in listed)

    await until_true(waits)
    assert not migrating.done()
    clock.advance(LEASE_S)
    await migrating
    await database.close()


async def test_a_process_that_lost_its_lease_takes_no_further_step(galera: Galera) -> None:
    name = galera.new_database()
    database = Database(galera.first.url(name))
    seen = list[str]()

    def lose(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.lstrip().upper().startswith(("CREATE", "ALTER")):
            return
        seen.append(statement)
        if len(seen) == 3:
            lost = "UPDATE strongroom_lease SET holder = 'other/1'"
            execute_elsewhere(galera.second.url(name), f"SET SESSION wsrep_sync_wait = 15; {lost}")

    event.listen(Engine, "after_cursor_execute", lose)
    try:
        with pytest.raises(Unavailable, match="Another process migrates the database now"):
            await migrate(database, [])
    finally:
        event.remove(Engine, "after_cursor_execute", lose)
        await database.close()
    assert len(seen) == 3
