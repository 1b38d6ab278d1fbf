"""Callbacks: every entry of every account, in order within an account, accounts independently."""

from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest
from prometheus_client import generate_latest
from sqlalchemy import Connection, select, update
from sqlalchemy.engine import URL
from structlog.testing import capture_logs

from atto.conftest import Start
from strongroom.atto import tables
from strongroom.atto.history.callbacks import Callbacks
from strongroom.atto.protocol import AccountEntry, Address, BlockType
from strongroom.atto.wallets.accounts import Derived, chain_row
from strongroom.core.errors import Unavailable
from strongroom.core.messaging.outbox import Outbox
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.storage.database import Database
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, Wallet, entry
from support.callback_listener import CallbackListener, Entry, listening
from support.clock import ManualClock, SeededEntropy
from support.ports import free_port
from support.serving import serving
from support.waiting import eventually

pytestmark = pytest.mark.anyio
ELSEWHERE = Address.parse(NOBODY)


@pytest.fixture
async def listener() -> AsyncIterator[CallbackListener]:
    async with listening() as listener:
        yield listener


@pytest.fixture
async def telling(start: Start, listener: CallbackListener) -> AsyncIterator[AttoService]:
    """A service that calls the listener."""
    async with start(CALLBACK_URL=f"{listener.url}/atto/hook") as service:
        yield service


async def act_elsewhere(network: AttoNetwork, wallet: Wallet, blocks: int) -> str:
    """An account of the wallet that another holder of the seed has opened and used; its address."""
    account = wallet.account()
    await network.fund(account.address.path, 10 * blocks)
    (receivable,) = network.sandbox.chain.receivables([account.public_key], 1)
    await network.publish(account.open(receivable))
    for _ in range(blocks - 1):
        state = network.sandbox.chain.account(account.public_key)
        assert state is not None
        await network.publish(account.send(state, ELSEWHERE, 1))
    return account.address.path


async def test_callback_is_the_entry(
    telling: AttoService, network: AttoNetwork, listener: CallbackListener
) -> None:
    address = await telling.open_account(network, 100)
    sent = entry(await telling.send(address, NOBODY, 10))
    changed = entry(await telling.change(address, NOBODY))
    await network.fund(address, 7)
    await eventually(lambda: listener.heights(address) == [1, 2, 3, 4])
    assert listener.entries[1:3] == [sent, changed]
    assert [one["blockType"] for one in listener.entries] == ["OPEN", "SEND", "CHANGE", "RECEIVE"]
    page = await telling.get(f"/wallets/accounts/{address}/entries")
    assert listener.entries == page["entries"][::-1]
    for path, headers, _ in listener.requests:
        assert (path, headers["content-type"]) == ("/atto/hook", "application/json")
        assert "authorization" not in headers


async def test_header_is_sent_when_both_its_halves_are_set(
    start: Start, network: AttoNetwork, listener: CallbackListener
) -> None:
    header = {"CALLBACK_HEADER_KEY": "X-Shop", "CALLBACK_HEADER_VALUE": "secret"}
    async with start(CALLBACK_URL=listener.url, **header) as service:
        address = await service.open_account(network, 100)
        await eventually(lambda: listener.heights(address) == [1])
    async with start(CALLBACK_URL=listener.url, CALLBACK_HEADER_KEY="X-Shop") as service:
        entry(await service.send(address, NOBODY, 1))
        await eventually(lambda: listener.heights(address) == [1, 2])
    assert [headers.get("x-shop") for _, headers, _ in listener.requests] == ["secret", None]


async def test_a_callback_that_fails_shows_neither_its_path_nor_its_header(
    start: Start, network: AttoNetwork, listener: CallbackListener
) -> None:
    refusals = [500, 302, 404]
    listener.status = lambda _: refusals.pop(0) if refusals else 200
    variables = {
        "CALLBACK_URL": f"{listener.url}/canary-path?key=canary-query",
        "CALLBACK_HEADER_KEY": "X-Shop",
        "CALLBACK_HEADER_VALUE": "canary-header",
    }
    with capture_logs() as logs:
        async with start(**variables) as service:
            address = await service.open_account(network, 100)
            await eventually(lambda: listener.heights(address) == [1])
            shown = str(service.health.components()) + generate_latest(service.metrics.registry).decode()
            count = partial(service.metrics.registry.get_sample_value, "strongroom_atto_callbacks_total")
            await eventually(lambda: count({"result": "delivered"}) == 1)
            assert count({"result": "refused"}) == 3
    told = [one for one in logs if one["event"] == "event not delivered"]
    assert [one["error"][-3:] for one in told] == ["500", "302", "404"]
    assert "canary" not in str(logs) + shown
    assert [path for path, _, _ in listener.requests] == ["/canary-path"] * 4
    assert {headers["x-shop"] for _, headers, _ in listener.requests} == {"canary-header"}


async def test_entries_of_disabled_accounts_are_delivered_too(
    telling: AttoService, network: AttoNetwork, listener: CallbackListener
) -> None:
    address = await telling.open_account(network, 100)
    await telling.post(f"/wallets/accounts/{address}/states/DISABLED")
    entry(await telling.send(address, NOBODY, 1))
    await eventually(lambda: listener.heights(address) == [1, 2])


async def test_refused_callback_is_repeated_and_delays_no_other_account(
    telling: AttoService, network: AttoNetwork, listener: CallbackListener
) -> None:
    refused, other = await telling.open_account(network, 100), await telling.open_account(network, 100)
    await eventually(lambda: len(listener.entries) == 2)
    listener.status = lambda told: 500 if told["address"] == refused else 204
    for address in (refused, refused, other, other):
        entry(await telling.send(address, NOBODY, 1))
    await eventually(lambda: listener.heights(other) == [1, 2, 3])
    await eventually(lambda: len(attempts(listener, refused)) >= 4)
    assert set(attempts(listener, refused)[1:]) == {2}  # the next one waits for it
    listener.status = lambda _: 200
    await eventually(lambda: listener.heights(refused) == [1, 2, 3])


def attempts(listener: CallbackListener, address: str) -> list[int]:
    return [told["height"] for _, _, told in listener.requests if told["address"] == address]


async def test_slow_listener_delays_its_account_alone(
    telling: AttoService, network: AttoNetwork, listener: CallbackListener
) -> None:
    slow, other = await telling.open_account(network, 100), await telling.open_account(network, 100)
    await eventually(lambda: len(listener.entries) == 2)
    listener.delay_s = lambda told: 1.0 if told["address"] == slow else 0.0
    entry(await telling.send(slow, NOBODY, 1))
    entry(await telling.send(other, NOBODY, 1))
    await eventually(lambda: listener.heights(other) == [1, 2])
    assert listener.heights(slow) == [1]
    await eventually(lambda: listener.heights(slow) == [1, 2])


@pytest.mark.parametrize("status", [302, 404, 503])
async def test_only_success_is_success(
    telling: AttoService, network: AttoNetwork, listener: CallbackListener, status: int
) -> None:
    statuses: list[Callable[[Entry], int]] = [lambda _: 200, lambda _: status]
    listener.status = lambda told: statuses.pop()(told) if statuses else 200
    address = await telling.open_account(network, 100)
    await eventually(lambda: listener.heights(address) == [1])
    assert attempts(listener, address) == [1, 1]
    assert {path for path, _, _ in listener.requests} == {"/atto/hook"}  # a redirect is not followed


async def test_delivery_continues_after_a_restart(
    start: Start, network: AttoNetwork, listener: CallbackListener
) -> None:
    async with start(CALLBACK_URL=listener.url) as service:
        address = await service.open_account(network, 100)
        await eventually(lambda: listener.heights(address) == [1])
        listener.status = lambda _: 500
        for _ in range(3):
            entry(await service.send(address, NOBODY, 1))
    listener.status = lambda _: 200
    async with start(CALLBACK_URL=listener.url) as service:
        entry(await service.send(address, NOBODY, 1))
        await eventually(lambda: listener.heights(address) == [1, 2, 3, 4, 5])


async def test_entries_are_delivered_when_the_receiver_is_back(start: Start, network: AttoNetwork) -> None:
    port = free_port()
    listener = CallbackListener()
    async with start(CALLBACK_URL=f"http://127.0.0.1:{port}/") as service:
        address = await service.open_account(network, 100)
        entry(await service.send(address, NOBODY, 1))
        async with serving(listener, port):
            await eventually(lambda: listener.heights(address) == [1, 2])


async def test_missed_entries_are_delivered_in_order_at_full_speed(
    start: Start, network: AttoNetwork, listener: CallbackListener
) -> None:
    """The original sends one each second, so 150 of them would take longer than the test waits."""
    async with start(CALLBACK_URL=listener.url) as service:
        wallet = await service.create_wallet()
        address = await act_elsewhere(network, wallet, blocks=150)
        assert await service.create_account(wallet) == address
        await eventually(lambda: len(listener.entries) == 150)
    assert listener.heights(address) == list(range(1, 151))


async def test_url_that_is_set_later_gets_only_later_entries(
    start: Start,
    network: AttoNetwork,
    listener: CallbackListener,
    elsewhere: Callable[[str], list[list[str]]],
) -> None:
    async with start() as service:
        address = await service.open_account(network, 100)
        entry(await service.send(address, NOBODY, 1))
        await eventually(lambda: elsewhere("SELECT height FROM notification_state") == [["2"]])
    async with start(CALLBACK_URL=listener.url) as service:
        entry(await service.send(address, NOBODY, 1))
        await eventually(lambda: listener.heights(address) == [3])
    assert elsewhere("SELECT address, height FROM notification_state") == [[address, "3"]]


async def test_entries_of_an_undone_transaction_do_not_advance_the_progress(
    database_url: URL, clock: ManualClock, entropy: SeededEntropy
) -> None:
    """Otherwise a URL that is set later would never get the entry that takes their height."""
    database = Database(database_url)
    account = Derived(index=0, address=ELSEWHERE)
    made = AccountEntry(
        public_key=ELSEWHERE.public_key,
        hash=bytes(32),
        height=1,
        block_type=BlockType.OPEN,
        subject_public_key=ELSEWHERE.public_key,
        previous_balance=0,
        balance=1,
        timestamp_ms=1,
    )

    def create(connection: Connection) -> None:
        wallet = {"name": "w", "version": 0, "encrypted_entropy": b"-"}
        connection.execute(tables.wallet.insert(), wallet)
        row = {"address": NOBODY, "version": 0, "account_index": 0, "wallet_name": "w"}
        connection.execute(tables.account.insert(), row)
        connection.execute(tables.chain.insert(), chain_row(account, "w", origin="CREATED", disabled=False))

    def store(connection: Connection, *, is_undone: bool) -> None:
        callbacks.announce(connection, [made])
        connection.execute(update(tables.chain).values(entry_height=1))
        if is_undone:
            raise Unavailable("the database undoes it")

    callbacks = Callbacks(
        url=None,
        header=None,
        database=database,
        outbox=Outbox(clock),
        clock=clock,
        entropy=entropy,
        metrics=Metrics("test"),
    )
    progress = select(tables.notification_state.c.height)
    await database.write(create)
    with pytest.raises(Unavailable):
        await database.write(partial(store, is_undone=True))
    await callbacks.advance()
    assert await database.fetch_all(progress) == []
    await database.write(partial(store, is_undone=False))
    callbacks.entries_stored(ELSEWHERE)
    await callbacks.advance()
    assert [row.height for row in await database.fetch_all(progress)] == [1]
    await callbacks.close()
    await database.close()


async def test_url_that_is_removed_leaves_no_backlog(
    start: Start,
    network: AttoNetwork,
    listener: CallbackListener,
    elsewhere: Callable[[str], list[list[str]]],
) -> None:
    listener.status = lambda _: 500
    async with start(CALLBACK_URL=listener.url) as service:
        address = await service.open_account(network, 100)
        await eventually(lambda: bool(listener.requests))
    async with start() as service:
        entry(await service.send(address, NOBODY, 1))
        await eventually(lambda: elsewhere("SELECT height FROM notification_state") == [["2"]])
    assert elsewhere("SELECT * FROM strongroom_outbox") == []
