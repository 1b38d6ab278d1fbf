"""Whatever is wrong with one account: it is said of that account, and every other one is served."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import select

from atto.conftest import Start
from strongroom.atto import tables
from strongroom.atto.protocol import Address, Receivable, send_block
from strongroom.core.intents.tables import intent as intent_table
from strongroom.core.runtime.telemetry import Status
from support.atto_network import AttoNetwork
from support.atto_service import ATTO, NOBODY, AttoService, Wallet, entry, leave_unreadable, until
from support.meddling_node import meddle
from support.waiting import eventually, until_true

pytestmark = pytest.mark.anyio

ELSEWHERE = Address.parse(NOBODY)
AHEAD_MS = 300_000
MUCH_LESS_MS = 20_000


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.atto.receiving.receiver.POLL_S", 0.1)


def names(service: AttoService, address: str, *, words: str = "") -> bool:
    """Whether a component that is not up says which account it is."""
    parts = service.health.components().values()
    return any(
        part.status is not Status.UP and address[:12] in str(part.detail) and words in str(part.detail)
        for part in parts
    )


async def blocks_of(service: AttoService, address: str) -> int:
    query = select(intent_table.c.id).where(intent_table.c.account == address)
    return len(await service.ledger.database.fetch_all(query))


async def jump_ahead(network: AttoNetwork, wallet: Wallet, address: str) -> None:
    """Its last block is five minutes ahead of the node's clock; how it came there does not matter."""
    state = network.state(address)
    assert state is not None
    moment_ms = network.clock.now_ms() + AHEAD_MS
    block = send_block(state, ELSEWHERE.public_key, 1, moment_ms)
    network.sandbox.node.ledger.confirm(wallet.account().sign(block))


async def test_an_account_ahead_of_time_waits_without_delaying_others(
    service: AttoService, network: AttoNetwork
) -> None:
    wallet = await service.create_wallet()
    ahead, other = await service.open_account(network, 100, wallet), await service.open_account(network, 100)
    await jump_ahead(network, wallet, ahead)
    await service.until_balance(ahead, 99)
    refused = await service.send(ahead, NOBODY, 10, key="ahead")
    assert (refused.status_code, refused.json()["code"]) == (503, "ahead_of_time")
    assert "nothing was signed" in refused.json()["message"]
    changed = await service.change(ahead, NOBODY)
    assert (changed.status_code, changed.json()["code"]) == (503, "ahead_of_time")
    await network.fund(ahead, 7)
    await eventually(lambda: names(service, ahead))
    await network.fund(other, 7)
    await service.until_balance(other, 107)
    assert entry(await service.send(other, NOBODY, 7))["balance"] == 100
    assert await blocks_of(service, ahead) == 1
    network.clock.ahead_ms = AHEAD_MS
    await service.until_balance(ahead, 106)
    await eventually(lambda: service.health.overall() is Status.UP)
    assert entry(await service.send(ahead, NOBODY, 10, key="ahead"))["balance"] == 96


class Defect(Exception):
    """An unexpected error."""


def failing_for(address: str, works: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """The same function with a defect that shows with one account."""
    public_key = Address.parse(address).public_key

    async def work(subject: Any) -> Any:
        keys = {
            getattr(subject, "public_key", None),
            getattr(subject, "receiver_public_key", None),
            getattr(getattr(subject, "state", None), "public_key", None),
            getattr(getattr(getattr(subject, "transaction", None), "block", None), "public_key", None),
        }
        if public_key in keys:
            raise Defect
        return await works(subject)

    return work


@pytest.mark.parametrize(
    ("part", "method"), [("receiver", "_verify"), ("receiver", "_receive_all"), ("follower", "take_over")]
)
async def test_a_defect_with_one_account_is_shown_and_the_others_are_served(
    service: AttoService, network: AttoNetwork, monkeypatch: pytest.MonkeyPatch, part: str, method: str
) -> None:
    wallet = await service.create_wallet()
    bad = await service.open_account(network, 100, wallet)
    good = await service.create_wallet()
    fine = await service.open_account(network, 100, good)
    worker = getattr(service.ledger.use_cases, part)
    monkeypatch.setattr(worker, method, failing_for(bad, getattr(worker, method)))
    await send_and_fund(network, wallet, bad)
    await eventually(lambda: names(service, bad))
    await send_and_fund(network, good, fine)
    assert (await service.until_balance(fine, 104))["height"] == 3
    assert names(service, bad, words="Defect")
    monkeypatch.undo()
    network.cut_streams()
    assert (await service.until_balance(bad, 104))["height"] == 3
    await eventually(lambda: service.health.overall() is Status.UP)


async def send_and_fund(network: AttoNetwork, wallet: Wallet, address: str) -> None:
    """Another wallet of the same seed sends 3, and 7 arrive."""
    state = network.state(address)
    assert state is not None
    await network.publish(wallet.account().send(state, ELSEWHERE, 3))
    await network.fund(address, 7)


async def test_a_history_that_cannot_be_filled_holds_up_no_other(
    service: AttoService, network: AttoNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet, good = await service.create_wallet(), await service.create_wallet()
    bad = await service.open_account(network, 100, wallet)
    fine = await service.open_account(network, 100, good)
    history = service.ledger.use_cases.history
    monkeypatch.setattr(history, "_fill", failing_for(bad, history._fill))
    await send_and_fund(network, wallet, bad)
    await eventually(lambda: names(service, bad))
    await send_and_fund(network, good, fine)

    async def shown(address: str) -> int:
        return len((await service.get(f"/wallets/accounts/{address}/entries"))["entries"])

    await until(lambda: shown(fine), lambda found: found == 3)
    assert await shown(bad) == 1
    monkeypatch.undo()
    await until(lambda: shown(bad), lambda found: found == 3)


async def test_rows_that_cannot_be_read_end_no_loop(start: Start, network: AttoNetwork) -> None:
    """An open block of zeros, and an account without its entries: of one account, found at the start."""
    async with start() as service:
        bad = await service.open_account(network, 100)
        fine = await service.open_account(network, 100)
        await leave_unreadable(service, bad)
        # What was told of both accounts is noted a moment later; noted after the deletion, nothing would be missing.
        noted = select(tables.notification_state.c.address).where(tables.notification_state.c.height == 1)

        async def are_noted() -> bool:
            rows = await service.ledger.database.fetch_all(noted)
            return {bad, fine} <= {row.address for row in rows}

        await until_true(are_noted)
        await service.ledger.database.write(
            lambda connection: connection.execute(tables.entry.delete().where(tables.entry.c.address == bad))
        )
        await service.ledger.database.write(
            lambda connection: connection.execute(tables.notification_state.delete())
        )
    async with start(CALLBACK_URL="http://127.0.0.1:9/") as service:
        await eventually(lambda: states(service)["attoPendingBlocks"] is Status.DEGRADED)
        await eventually(lambda: states(service)["attoCallbacks"] is Status.DEGRADED)
        await network.fund(fine, 7)
        await service.until_balance(fine, 107)
        assert entry(await service.send(fine, NOBODY, 7))["height"] == 3


async def test_an_item_that_a_stream_cannot_handle_does_not_end_it(
    service: AttoService, network: AttoNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, fine = await service.create_account(), await service.create_account()
    arrivals = service.ledger.use_cases.arrivals
    put = arrivals._queue.put
    key = Address.parse(bad).public_key

    async def refuse(receivable: Receivable) -> None:
        if receivable.receiver_public_key == key:
            raise Defect
        await put(receivable)

    monkeypatch.setattr(arrivals._queue, "put", refuse)
    await network.fund(bad, 5)
    await network.fund(fine, 7)
    await service.until_balance(fine, 7)
    monkeypatch.undo()
    network.cut_streams()
    await service.until_balance(bad, 5)


async def test_an_arrival_that_cannot_be_stored_does_not_keep_out_those_beside_it(
    service: AttoService, network: AttoNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, fine = await service.create_account(), await service.create_account()
    arrivals = service.ledger.use_cases.arrivals
    is_ours = arrivals._is_ours
    key = Address.parse(bad).public_key

    def spoil(receivable: Receivable) -> bool:
        found = is_ours(receivable)
        if found and receivable.receiver_public_key == key:
            object.__setattr__(receivable, "sender_public_key", None)
        return found

    monkeypatch.setattr(arrivals, "_is_ours", spoil)
    await network.fund(bad, 5)
    await network.fund(fine, 7)
    await service.until_balance(fine, 7)
    await eventually(lambda: names(service, bad))
    monkeypatch.undo()
    network.cut_streams()
    await service.until_balance(bad, 5)


def states(service: AttoService) -> dict[str, Status]:
    return {name: part.status for name, part in service.health.components().items()}


async def test_a_clock_of_the_node_that_jumps_is_seen_and_signing_waits(
    service: AttoService, network: AttoNetwork
) -> None:
    address = await service.open_account(network, 50 * ATTO)
    for ahead_ms in (3_600_000, -600_000):
        before = await blocks_of(service, address)
        network.faults.clock_ahead_ms = ahead_ms
        await eventually(lambda: states(service)["attoNodeClock"] is Status.DEGRADED)
        refused = await service.send(address, NOBODY, ATTO)
        assert (refused.status_code, refused.json()["code"]) == (503, "node_clock")
        assert "nothing was signed" in refused.json()["message"]
        assert await blocks_of(service, address) == before
        network.faults.clock_ahead_ms = 0
        await eventually(lambda: states(service)["attoNodeClock"] is Status.UP)
        sent = entry(await service.send(address, NOBODY, ATTO))
        assert abs(sent["timestamp"] - network.clock.now_ms()) < MUCH_LESS_MS


async def test_a_clock_that_stays_where_it_jumped_is_followed_in_the_end(
    service: AttoService, network: AttoNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strongroom.atto.gateway.node_clock.STEADY_CHECKS", 2)
    address = await service.open_account(network, 50 * ATTO)
    network.faults.clock_ahead_ms = 40_000
    await eventually(lambda: states(service)["attoNodeClock"] is Status.DEGRADED)
    await eventually(lambda: states(service)["attoNodeClock"] is Status.UP)
    sent = entry(await service.send(address, NOBODY, ATTO))
    assert abs(sent["timestamp"] - network.clock.now_ms() - 40_000) < MUCH_LESS_MS


async def test_a_step_of_our_own_calendar_moves_no_timestamp(
    service: AttoService, network: AttoNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = await service.open_account(network, 50 * ATTO)
    true_ms = network.clock.now_ms

    monkeypatch.setattr(
        service.ledger.use_cases.node_watch.clock._clock,
        "now_ms",
        lambda: true_ms() + 7_200_000,
        raising=False,
    )
    sent = entry(await service.send(address, NOBODY, ATTO))
    assert abs(sent["timestamp"] - true_ms()) < MUCH_LESS_MS


async def test_a_block_refused_for_its_time_stays_open_and_is_offered_until_it_is_taken(
    start: Start, network: AttoNetwork
) -> None:

    async with start(ATTO_REQUEST_TIMEOUT_S="1") as service:
        address = await service.open_account(network, 50 * ATTO)
        node = meddle(service)
        publish = node.node.publish

        async def after_the_jump(transaction: Any) -> None:
            network.faults.clock_ahead_ms = -600_000
            await publish(transaction)

        node.instead["publish"] = [after_the_jump]
        unknown = await service.send(address, NOBODY, ATTO, key="early")
        assert (unknown.status_code, unknown.json()["code"]) == (504, "outcome_unknown")
        other = await service.send(address, NOBODY, 2 * ATTO)
        assert other.status_code == 503, other.text
        assert re.search("(nothing|before anything) was signed", other.json()["message"]), other.text
        assert await blocks_of(service, address) == 2
        network.faults.clock_ahead_ms = 0
        paid = entry(
            await until(
                lambda: service.send(address, NOBODY, ATTO, key="early"),
                lambda response: response.status_code == 200,
            )
        )
        assert paid["hash"] in unknown.json()["message"]
        assert (paid["height"], paid["balance"]) == (2, 49 * ATTO)


async def test_a_timestamp_that_the_node_refuses_without_reason_is_offered_again(
    service: AttoService, network: AttoNetwork
) -> None:

    address = await service.open_account(network, 50 * ATTO)
    node = meddle(service)
    node.refuse_next("INVALID_TIMESTAMP")
    assert entry(await service.send(address, NOBODY, ATTO))["height"] == 2
    assert node.calls.count("publish") == 2
    assert await blocks_of(service, address) == 2
