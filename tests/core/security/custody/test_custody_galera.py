"""What seals, unseals and changes keys at one node of a real cluster, while another process works at the other node."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from strongroom.atto.definition import REVISIONS
from strongroom.core.errors import Sealed
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.custody import rotation
from strongroom.core.security.custody.custody import Custody
from strongroom.core.security.custody.sealing import Sealing
from strongroom.core.security.keys.local import key_from_hex
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.keys.versions import KeyState, set_key_check
from strongroom.core.storage.database import Database
from strongroom.core.storage.migrations import migrate
from support.galera import Galera, Lag
from support.keys import KEY, OTHER_KEY
from support.sealed_rows import ATTO, Estate, ImpatientClock, KeyPlace, fill
from support.waiting import until_true

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """A process at each node, and the urls of the nodes."""

    estate: Estate
    first: Custody
    second: Custody
    second_url: URL

    async def versions(self) -> dict[int, KeyState]:
        return {one.version: one.state for one in await self.first.rotation().versions()}


@pytest.fixture
async def nodes(galera: Galera, tmp_path: Path) -> AsyncIterator[Nodes]:
    name = galera.new_database()
    url, second_url = galera.first.url(name), galera.second.url(name)
    estate = Estate(url, KeyPlace(ledger=ATTO, folder=tmp_path), ImpatientClock())
    database = Database(url)
    await migrate(database, [REVISIONS])
    first = await estate.start(estate.place.source(KEY, OTHER_KEY), database)
    await fill(first, ATTO, ["one"], estate.clock)
    await asyncio.to_thread(galera.catch_up)
    second = await estate.start(estate.place.source(KEY), Database(second_url))
    await asyncio.to_thread(galera.catch_up)
    yield Nodes(estate=estate, first=first, second=second, second_url=second_url)
    await estate.close()


def at_the_other_node(nodes: Nodes, work: Callable[[Custody], Awaitable[object]]) -> None:
    """Does something at the second node, from within a transaction at the first one."""
    second = nodes.second

    async def run() -> None:
        database = Database(nodes.second_url)
        other = Custody(
            replace(second.keeping, database=database), second._audit, second._trail_key, "elsewhere"
        )
        other.ring.open({1: second.ring.key(1)}, 1)
        other.ring.keep({b"trail": second.ring.secret(b"trail")})
        try:
            await work(other)
        finally:
            await database.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, run()).result()


async def has_dropped_its_keys(custody: Custody) -> bool:
    await custody.look()
    return not custody.ring.is_open


async def test_what_is_sealed_with_the_old_key_at_the_other_node_keeps_that_key(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The late process commits after the rotation has seen that nothing needs the old key, and before it retires that key."""
    first = nodes.first.rotation()
    look = first._row_needs.has_more
    work = [lambda other: fill(other, ATTO, ["two"], nodes.estate.clock)]

    def looked(*args: object) -> bool:
        found = look(*args)  # type: ignore[arg-type]
        while work:
            at_the_other_node(nodes, work.pop())
        return found

    monkeypatch.setattr(first._row_needs, "has_more", looked)
    assert (await first.run(OPERATOR)).left == []
    assert await nodes.versions() == {1: KeyState.RETIRED, 2: KeyState.ACTIVE}
    assert await first.needs() == {2: 2}


async def test_no_key_is_changed_while_the_other_node_seals(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the key that unseals would be another one than the operator knows."""
    sealings = [lambda other: other.sealing().seal(OPERATOR)]

    def recorded(*args: object) -> None:
        set_key_check(*args)  # type: ignore[arg-type]
        while sealings:
            at_the_other_node(nodes, sealings.pop())

    monkeypatch.setattr(rotation, "set_key_check", recorded)
    with pytest.raises(Sealed):
        await nodes.first.rotation().run(OPERATOR)
    assert await nodes.versions() == {1: KeyState.ACTIVE, 2: KeyState.READY}
    await nodes.first.unseal(OPERATOR, key_from_hex(KEY))


async def test_who_seals_right_after_the_other_node_unsealed_has_sealed(
    nodes: Nodes, lag: Lag, galera: Galera
) -> None:
    """At a node that is late the ledger is still sealed: an answer "it was sealed before" would be wrong a moment later."""
    keeping = nodes.second.keeping
    for _ in range(3):
        await nodes.first.seal(OPERATOR)
        await asyncio.to_thread(galera.catch_up)
        await lag.begin()
        await nodes.first.unseal(OPERATOR, key_from_hex(KEY))
        late = Sealing(keeping=keeping, audit=nodes.second._audit, trail_key=TrailKey())
        assert await late.seal(OPERATOR)
        await until_true(lambda: has_dropped_its_keys(nodes.first))
        await nodes.first.unseal(OPERATOR, key_from_hex(KEY))
        await nodes.first.look()
        assert nodes.first.ring.is_open
        await asyncio.to_thread(galera.catch_up)
