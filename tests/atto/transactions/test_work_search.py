"""Proof of work: prepared, stored, searched once, and found elsewhere when the work server fails."""

from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus

import pytest
from sqlalchemy import update

from atto.conftest import Start
from strongroom.atto import tables
from strongroom.atto.protocol import Network, is_work_valid, verify_work
from strongroom.core.runtime.telemetry import Status
from strongroom_sandbox.atto.faults.faults import FaultRequest, Lie
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, assert_refused, entry, stored_work, until

pytestmark = pytest.mark.anyio
Elsewhere = Callable[[str], list[list[str]]]
BROKEN = FaultRequest(status=HTTPStatus.INTERNAL_SERVER_ERROR, count=1_000_000)


def frontier(network: AttoNetwork, address: str) -> bytes:
    state = network.state(address)
    assert state is not None
    return state.frontier


async def prepared(service: AttoService, network: AttoNetwork, address: str) -> bytes:
    """The work that lies ready for the next block, which must be the right one."""

    async def ready() -> bytes | None:
        work = await stored_work(service, address)
        details = await service.details(address)
        is_present = (
            details is not None and details["lastTransactionHash"] == frontier(network, address).hex().upper()
        )
        return work if is_present else None

    work = await until(ready, lambda found: found is not None)
    assert work is not None
    verify_work(Network.LOCAL, network.clock.now_ms(), frontier(network, address), work)
    return work


async def test_work_for_the_next_block_is_prepared_and_used(
    service: AttoService, network: AttoNetwork
) -> None:
    address = await service.open_account(network, 100)
    for _ in range(3):
        work = await prepared(service, network, address)
        target = frontier(network, address)
        entry(await service.send(address, NOBODY, 1))
        sent = network.sandbox.chain.transaction(frontier(network, address))
        assert sent is not None
        assert sent.work == work
        assert network.worker.targets.count(target) == 1


async def test_stored_work_outlives_the_process(start: Start, network: AttoNetwork) -> None:
    async with start() as service:
        address = await service.open_account(network, 100)
        await prepared(service, network, address)
    network.work_faults.set(BROKEN)
    async with start() as service:
        entry(await service.send(address, NOBODY, 1))


async def test_work_that_has_become_too_weak_is_searched_again(
    service: AttoService, network: AttoNetwork
) -> None:
    """It was found in 2027 and is needed in 2028, when twice as much is asked for."""
    address = await service.open_account(network, 100)
    await prepared(service, network, address)
    target = frontier(network, address)
    later_ms = int(datetime(2028, 1, 1, 12, tzinfo=UTC).timestamp() * 1000)
    now_ms = network.clock.now_ms()
    candidates = (number.to_bytes(8, "little") for number in range(10_000_000))
    weak = next(
        work
        for work in candidates
        if is_work_valid(Network.LOCAL, now_ms, target, work)
        and not is_work_valid(Network.LOCAL, later_ms, target, work)
    )
    await service.ledger.database.write(
        lambda connection: connection.execute(update(tables.chain).values(work=weak))
    )
    network.clock.ahead_ms = later_ms - now_ms
    assert entry(await service.send(address, NOBODY, 1))["timestamp"] >= later_ms
    sent = network.sandbox.chain.transaction(frontier(network, address))
    assert sent is not None
    assert sent.work != weak


async def test_send_waits_for_a_work_server_that_comes_back(
    service: AttoService, network: AttoNetwork, elsewhere: Elsewhere
) -> None:
    address = await service.open_account(network, 100)
    await prepared(service, network, address)
    elsewhere("UPDATE strongroom_atto_account SET work = NULL")
    network.work_faults.set(FaultRequest(status=HTTPStatus.INTERNAL_SERVER_ERROR, count=3))
    assert entry(await service.send(address, NOBODY, 1))["height"] == 2
    assert network.work_faults.refusal is None
    assert service.health.components()["attoWork"].status is Status.UP


async def test_false_work_is_never_published(
    start: Start, network: AttoNetwork, elsewhere: Elsewhere
) -> None:
    async with start(ATTO_REQUEST_TIMEOUT_S="1") as service:
        address = await service.open_account(network, 100)
        await prepared(service, network, address)
        elsewhere("UPDATE strongroom_atto_account SET work = NULL")
        network.work_faults.lie = Lie.WORK
        words = "Timed out before anything was signed; it is safe to try again"
        assert_refused(await service.send(address, NOBODY, 1), 503, words, "unavailable")
        assert service.health.components()["attoWork"].status is Status.DOWN
        network.heal()
        assert entry(await service.send(address, NOBODY, 1))["height"] == 2


async def test_this_machine_searches_when_the_work_server_fails(start: Start, network: AttoNetwork) -> None:
    network.work_faults.set(BROKEN)
    async with start(ATTO_WORK_FALLBACK="true") as service:
        address = await service.open_account(network, 100)
        entry(await service.send(address, NOBODY, 1))
        assert service.health.components()["attoWork"].status is Status.UP


async def test_this_machine_searches_when_there_is_no_work_server(start: Start, network: AttoNetwork) -> None:
    asked = len(network.worker.targets)
    async with start(WORK_BASE_URL="") as service:
        address = await service.open_account(network, 100)
        entry(await service.send(address, NOBODY, 1))
    assert len(network.worker.targets) == asked + 1  # the faucet's


async def test_a_request_for_work_that_hangs_does_not_hold_its_account(
    start: Start, network: AttoNetwork, elsewhere: Elsewhere
) -> None:
    async with start(ATTO_WORK_HEDGE_S="1") as service:
        address = await service.open_account(network, 100)
        await prepared(service, network, address)
        elsewhere("UPDATE strongroom_atto_account SET work = NULL")
        network.work_faults.set(FaultRequest(hang_reply=1))
        assert entry(await service.send(address, NOBODY, 1))["height"] == 2
        assert network.work_faults.hang_reply == 0
