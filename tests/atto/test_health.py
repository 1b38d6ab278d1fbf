"""Work that fails is seen in health, and stops no other work."""

import pytest
from sqlalchemy import select, update

from atto.conftest import Start
from strongroom.atto import tables
from strongroom.core.intents.tables import intent as intent_table
from strongroom.core.runtime.telemetry import ComponentHealth, Status
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, entry, leave_unreadable, until
from support.callback_listener import listening
from support.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.atto.receiving.receiver.POLL_S", 0.1)


async def component(service: AttoService, name: str) -> ComponentHealth:
    return service.health.components()[name]


async def until_status(service: AttoService, name: str, status: Status) -> ComponentHealth:
    return await until(lambda: component(service, name), lambda part: part.status is status)


async def until_detail(service: AttoService, name: str, text: str) -> ComponentHealth:
    """A component of several parts may be DEGRADED for another reason meanwhile."""
    return await until(lambda: component(service, name), lambda part: text in (part.detail or ""))


async def test_a_block_that_cannot_be_taken_up_is_seen_and_stops_nothing(
    service: AttoService, network: AttoNetwork
) -> None:
    address = await service.open_account(network, 7)
    await leave_unreadable(service, address)
    part = await until_status(service, "attoPendingBlocks", Status.DEGRADED)
    assert part.detail is not None
    assert "1 blocks are open, 1 are tried again: " in part.detail
    await network.fund(address, 5)
    await service.until_balance(address, 12)
    entry(await service.send(address, NOBODY, 1))
    for name in ("attoStates", "attoReceivables", "attoReceiver"):
        assert (await component(service, name)).status is Status.UP
    await service.ledger.database.write(
        lambda c: c.execute(
            update(intent_table).where(intent_table.c.id == bytes(32)).values(outcome="REJECTED")
        )
    )
    await until_status(service, "attoPendingBlocks", Status.UP)


async def test_an_account_whose_history_is_damaged_is_seen_and_stops_no_other(
    service: AttoService, network: AttoNetwork
) -> None:
    damaged, other = await service.open_account(network, 7), await service.open_account(network, 7)
    columns = tables.chain.c
    await service.ledger.database.write(
        lambda c: c.execute(update(tables.chain).where(columns.address == damaged).values(entry_height=0))
    )
    await service.ledger.database.write(
        lambda c: c.execute(update(tables.chain).where(columns.address == other).values(entry_height=0))
    )
    broken = update(tables.chain).where(columns.address == damaged).values(height=9)
    await service.ledger.database.write(lambda c: c.execute(broken))
    await until_status(service, "attoHistory", Status.DEGRADED)
    filled = select(columns.entry_height).where(columns.address == other)
    await until(
        lambda: service.ledger.database.fetch_one(filled), lambda row: row is not None and row[0] == 1
    )
    assert (await component(service, "attoHistory")).status is Status.DEGRADED


async def test_callbacks_that_the_receiver_refuses_become_a_backlog(
    start: Start, network: AttoNetwork
) -> None:
    async with (
        listening() as listener,
        start(CALLBACK_URL=listener.url, STRONGROOM_BACKLOG_ENTRIES="2") as service,
    ):
        listener.status = lambda _: 500
        address = await service.open_account(network, 7)
        part = await until_detail(service, "attoCallbacks", "the callback URL answered with status 500")
        assert part.status is Status.DEGRADED
        for _ in range(3):
            entry(await service.send(address, NOBODY, 1))
        part = await until_detail(service, "attoCallbacks", "4 entries")
        assert part.status is Status.DEGRADED
        read = service.metrics.registry.get_sample_value
        assert read("strongroom_outbox_entries", {"ledger": "atto", "destination": "atto.callback"}) == 4
        listener.status = lambda _: 200
        # Health is UP as soon as the backlog is short again, which may be before all are delivered.
        await eventually(lambda: listener.heights(address) == [1, 2, 3, 4])
        await until_status(service, "attoCallbacks", Status.UP)
