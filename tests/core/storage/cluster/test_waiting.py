"""Real nodes of Galera and of Group Replication: what a client has just made is there at the next node, too."""

from collections.abc import AsyncIterator
from functools import partial
from itertools import count
from typing import NamedTuple

import pytest
from sqlalchemy import Connection, text

from strongroom.core.storage.cluster.waiting import statement_of
from strongroom.core.storage.database import Database
from strongroom.core.storage.statements import Statement
from support.databases import execute_elsewhere
from support.galera import SHORT, Galera, Lag
from support.group_replication import running_group
from support.mariadb import MariaDB, mysql_program

pytestmark = pytest.mark.anyio

TRIES = 5
LAG_ROWS = 3 * SHORT
READ = text("SELECT v FROM made WHERE id = :id")


class Nodes(NamedTuple):
    first: Database
    second: Database
    """Waits, as the service does."""
    late: Database
    """The second one without waiting."""


@pytest.fixture
async def nodes(galera: Galera) -> AsyncIterator[Nodes]:
    name = galera.new_database()
    execute_elsewhere(galera.first.url(name), "CREATE TABLE made (id INT PRIMARY KEY, v INT NOT NULL)")
    galera.catch_up()
    urls = (galera.first.url(name), galera.second.url(name, waits=True), galera.second.url(name))
    databases = Nodes(*(Database(url) for url in urls))
    yield databases
    for database in databases:
        await database.close()


def add(connection: Connection, number: int) -> None:
    connection.execute(text("INSERT INTO made VALUES (:id, 0)"), {"id": number})


async def test_what_was_committed_at_one_node_is_there_at_a_late_one(nodes: Nodes, lag: Lag) -> None:
    """Each way by itself: whoever waits once, has waited for the others."""
    numbers = count()
    for way in range(4):
        # On a busy machine the node may have caught up before it is asked: then it was not late, and nothing is shown.
        for _ in range(TRIES):
            if not await is_there(nodes, lag, nodes.late, next(numbers), way):
                break
        else:
            pytest.fail(f"the second node was never late ({way})")
        assert await is_there(nodes, lag, nodes.second, next(numbers), way), way


async def is_there(nodes: Nodes, lag: Lag, database: Database, number: int, way: int) -> bool:
    """Whether `database` shows what the first node has just committed, behind a change that takes long."""
    await one_way(database, -1, 0)  # it has a connection
    await lag.begin(LAG_ROWS)
    await nodes.first.write(partial(add, number=number))
    return await one_way(database, number, way)


async def one_way(database: Database, number: int, way: int) -> bool:
    """Whether a query, a reading or a writing unit sees the row, or a unit that begins with a change finds it."""

    def read(connection: Connection) -> bool:
        return connection.execute(READ, {"id": number}).first() is not None

    def change(connection: Connection) -> bool:
        changed = connection.execute(text("UPDATE made SET v = v + 1 WHERE id = :id"), {"id": number})
        return bool(changed.rowcount)

    if way == 0:
        return bool(await database.query(Statement(text(f"SELECT v FROM made WHERE id = {number}"))))  # noqa: S608 - a number
    if way == 1:
        return await database.read(read)
    return await database.write(read if way == 2 else change)


async def wait_of(database: Database) -> list[str]:
    """`wsrep_sync_wait` of the session of each kind of unit."""
    statement = text("SHOW VARIABLES LIKE 'wsrep_sync_wait'")
    asked = [
        await database.query(Statement(statement)),
        await database.read(lambda connection: connection.execute(statement).all()),
        await database.write(lambda connection: connection.execute(statement).all()),
    ]
    return [str(rows[0][1]) for rows in asked]


async def test_a_server_without_a_cluster_is_told_nothing(nodes: Nodes, mariadb: MariaDB) -> None:
    alone = Database(mariadb.new_database())
    assert await wait_of(nodes.second) == ["7"] * 3
    assert await wait_of(nodes.late) == ["0"] * 3
    if mysql_program() is None:
        assert await wait_of(alone) == ["0"] * 3
    await alone.close()


def test_what_the_operator_made_stricter_stays() -> None:
    assert statement_of({"wsrep_on": "ON", "wsrep_sync_wait": "8"}) == "SET SESSION wsrep_sync_wait=15"
    assert statement_of({"wsrep_on": "OFF", "wsrep_sync_wait": "0"}) is None
    assert statement_of({}) is None
    group = {"group_replication_single_primary_mode": "OFF"}
    before = "SET SESSION group_replication_consistency='BEFORE'"
    assert statement_of(group | {"group_replication_consistency": "EVENTUAL"}) == before
    assert statement_of(group | {"group_replication_consistency": "AFTER"}) is None
    one_primary = {"group_replication_single_primary_mode": "ON"}
    assert statement_of(one_primary | {"group_replication_consistency": "EVENTUAL"}) is None


@pytest.mark.slow
@pytest.mark.skipif(mysql_program() is None, reason="only scripts/test-mysql has MySQL")
@pytest.mark.parametrize("multi_primary", [True, False])
async def test_sessions_at_one_of_several_primaries_wait(*, multi_primary: bool) -> None:
    statement = text("SELECT @@SESSION.group_replication_consistency")
    with running_group(multi_primary=multi_primary) as group:
        for node in group.nodes:
            node.execute("SET GLOBAL group_replication_consistency = 'EVENTUAL'")
        _, url = group.new_database()
        database = Database(url)
        rows = await database.query(Statement(statement))
        unit = await database.read(lambda connection: connection.execute(statement).all())
        expected = "BEFORE" if multi_primary else "EVENTUAL"
        assert [rows[0][0], unit[0][0]] == [expected] * 2
        await database.close()
