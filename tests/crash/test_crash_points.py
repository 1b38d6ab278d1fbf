"""The process dies before and after every single write of a payment and of a receive, on both databases."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL

from strongroom.atto.protocol import AccountState, Address
from strongroom.core.coordination.idempotency import Idempotency
from strongroom.core.errors import Conflict
from strongroom.core.guard.approvals.administration import ApprovalAdministration
from strongroom.core.guard.approvals.approval import ApprovalState
from strongroom.core.guard.approvals.parking import ParkedRequests
from strongroom.core.intents.signing import Signing
from strongroom.core.intents.verdicts import Verdicts
from strongroom.core.security.access import OPERATOR, Principal
from strongroom_sandbox.atto.faults.faults import Refusal
from support.atto_network import AttoNetwork
from support.atto_network import running_network as running_sandbox
from support.atto_service import (
    ATTO,
    NOBODY,
    AttoService,
    database_variables,
    entry,
    running_service,
    until,
)
from support.callback_sink import CallbackSink, running_sink
from support.dying_database import CrashPoint, Died, DyingDatabase, crash_points
from support.running import running
from support.seeds import seeded
from support.waiting import eventually

pytestmark = pytest.mark.anyio

AFTER_EVERY_LEASE_MS = 10_000
KEY = "the-payment"
BACKGROUND = ("Leases.", "Idempotency.purge.", "_set_expiry.", "_write", "migrate")
"""Writes that are always under way, and say nothing about a payment."""

STARTED = f"{Idempotency.purge.__qualname__}.<locals>.<lambda>"
"""The purge, which the workers begin with."""
REJECTED = text("SELECT id FROM strongroom_intent WHERE outcome = 'REJECTED'")

SENDS = text("SELECT id FROM strongroom_intent WHERE kind = 'SEND'")
APPROVER = Principal(name="token:ann", scopes=frozenset({"atto:approve"}))

Start = Callable[[], AbstractAsyncContextManager[AttoService]]


@pytest.fixture
async def sandbox() -> AsyncIterator[AttoNetwork]:
    async with running_sandbox() as network:
        yield network


@pytest.fixture
async def sink() -> AsyncIterator[CallbackSink]:
    async with running_sink(seeded("crash points")) as sink:
        yield sink


@pytest.fixture
def start(sandbox: AttoNetwork, database_url: URL, sink: CallbackSink, tmp_path: Path) -> Start:
    variables = database_variables(database_url, tmp_path)
    variables |= {"CALLBACK_URL": sink.url, "ATTO_REQUEST_TIMEOUT_S": "2"}
    return lambda: running_service(sandbox, variables)


async def die(
    sandbox: AttoNetwork,
    database: DyingDatabase,
    point: CrashPoint,
    act: Callable[[], Coroutine[Any, Any, object]],
) -> None:
    """Acts until the process is dead; the leases of the dead run out at once."""
    await eventually(lambda: STARTED in database.names)
    database.arm(point)
    async with running(act()):
        await eventually(lambda: database.dead)
    sandbox.clock.ahead_ms += AFTER_EVERY_LEASE_MS


async def assert_books(service: AttoService, sandbox: AttoNetwork, sink: CallbackSink, address: str) -> None:
    """The service, its callbacks and the chain say the same, and nothing is open."""
    chain = sandbox.sandbox.chain
    public_key = Address.parse(address).public_key
    state = chain.account(public_key)
    assert state is not None
    hashes = [one.hash.hex().upper() for one in chain.entries(public_key, 1, state.height)]

    async def stored() -> list[str]:
        page = await service.get(f"/wallets/accounts/{address}/entries?limit=1000")
        return [one["hash"] for one in page["entries"]][::-1]

    await until(stored, lambda found: found == hashes)
    details = await service.details(address)
    assert details is not None
    assert (details["height"], details["balance"]) == (state.height, state.balance)

    async def told() -> list[str]:
        return list(dict.fromkeys(one["hash"] for one in sink.told(address)))

    await until(told, lambda found: found == hashes)
    assert await service.get(f"/wallets/accounts/{address}/receivables") == []
    await service.verify_audit()


async def pay(service: AttoService, address: str, key: str) -> httpx2.Response:
    return await service.send(address, NOBODY, ATTO, key=key)


async def until_paid(service: AttoService, address: str, key: str) -> dict[str, Any]:
    """Repeats as a client does that got no answer."""
    response = await until(
        lambda: pay(service, address, key),
        lambda found: found.status_code not in {409, 500, 503, 504},
    )
    return entry(response)


async def assert_paid_once(
    repeat: Callable[[], Awaitable[dict[str, Any]]], before: AccountState, point: CrashPoint
) -> None:
    paid = await repeat()
    assert (paid["previousBalance"], paid["height"]) == (before.balance, before.height + 1), str(point)
    assert await repeat() == paid


async def test_a_payment_is_made_once_wherever_the_process_dies(
    sandbox: AttoNetwork, start: Start, sink: CallbackSink, dying: Callable[[], DyingDatabase]
) -> None:
    async with start() as service:
        address = await service.open_account(sandbox, 1000 * ATTO)
        await assert_books(service, sandbox, sink, address)
        dying().names.clear()
        entry(await pay(service, address, "rehearsal"))
        await assert_books(service, sandbox, sink, address)
        points = crash_points(dying().names, but=BACKGROUND)
    assert len(points) >= 10, points
    for number, point in enumerate(points):
        key = f"{KEY}-{number}"
        before = sandbox.state(address)
        assert before is not None
        async with start() as service:
            await die(sandbox, dying(), point, partial(pay, service, address, key))
        async with start() as service:
            await assert_paid_once(partial(until_paid, service, address, key), before, point)
            await assert_books(service, sandbox, sink, address)


async def approve(service: AttoService, approval: str) -> None:
    with contextlib.suppress(Conflict):  # it was approved before the process died
        await service.ledger.approvals.approve(APPROVER, approval)


async def pay_approved(service: AttoService, address: str, key: str) -> None:
    """The payment waits, is approved, and is made while nobody asks; until then, or the process is dead."""
    with contextlib.suppress(Died):
        refused = await pay(service, address, key)
        if refused.status_code == HTTPStatus.FORBIDDEN:
            approval = refused.json()["approvalId"]
            await approve(service, approval)
            while (await service.ledger.approvals.show(approval)).state is not ApprovalState.SPENT:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def until_paid_approved(service: AttoService, address: str, key: str) -> dict[str, Any]:
    """As `until_paid`; what waits is approved."""
    while True:
        response = await until(
            lambda: pay(service, address, key),
            lambda found: found.status_code not in {409, 500, 503, 504},
        )
        if response.status_code != HTTPStatus.FORBIDDEN:
            return entry(response)
        await approve(service, response.json()["approvalId"])


async def test_an_approval_is_spent_once_wherever_the_process_dies(
    sandbox: AttoNetwork, start: Start, sink: CallbackSink, dying: Callable[[], DyingDatabase]
) -> None:
    async with start() as service:
        address = await service.open_account(sandbox, 1000 * ATTO)
        rule = {"effect": "approve", "when": {"kinds": ["SEND"]}, "approvals": {"needed": 1}}
        await service.ledger.rules.add(OPERATOR, "all", json.dumps(rule))
        await assert_books(service, sandbox, sink, address)
        dying().names.clear()
        await pay_approved(service, address, "rehearsal")
        await until_paid_approved(service, address, "rehearsal")
        await assert_books(service, sandbox, sink, address)
        points = crash_points(dying().names, but=BACKGROUND)
    assert {point.name for point in points} > {
        f"{Signing.sign.__qualname__}.<locals>.unit",
        ParkedRequests._park.__qualname__,
        f"{ApprovalAdministration.approve.__qualname__}.<locals>.change",
    }
    for number, point in enumerate(points):
        key = f"{KEY}-{number}"
        before = sandbox.state(address)
        assert before is not None
        async with start() as service:
            await die(sandbox, dying(), point, partial(pay_approved, service, address, key))
        async with start() as service:
            await assert_paid_once(partial(until_paid_approved, service, address, key), before, point)
            await assert_books(service, sandbox, sink, address)
            spent = await service.ledger.approvals.list(list(ApprovalState))
            signed = await service.ledger.database.fetch_all(SENDS)
            assert {one.state for one in spent} == {ApprovalState.SPENT}
            assert {one.payload_id for one in spent} == {row.id for row in signed}
            assert len(spent) == len(signed) == number + 2


async def test_what_arrives_is_received_once_wherever_the_process_dies(
    sandbox: AttoNetwork, start: Start, sink: CallbackSink, dying: Callable[[], DyingDatabase]
) -> None:
    async with start() as service:
        address = await service.open_account(sandbox, 1000 * ATTO)
        await assert_books(service, sandbox, sink, address)
        dying().names.clear()
        await sandbox.fund(address, ATTO)
        balance = 1001 * ATTO
        await service.until_balance(address, balance)
        await assert_books(service, sandbox, sink, address)
        points = crash_points(dying().names, but=BACKGROUND)
    assert len(points) >= 6, points
    for point in points:
        async with start() as service:
            await die(sandbox, dying(), point, lambda: sandbox.fund(address, ATTO))
        balance += ATTO
        async with start() as service:
            await service.until_balance(address, balance)
            await assert_books(service, sandbox, sink, address)
            rejected = await service.ledger.database.fetch_all(REJECTED)
            assert not rejected, f"{point}: it tried to receive what was received"


@pytest.mark.parametrize(
    "point",
    [
        CrashPoint(name=f"{Signing.sign.__qualname__}.<locals>.unit", committed=True),
        CrashPoint(name=f"{Verdicts.store_final.__qualname__}.<locals>.unit", committed=False),
    ],
    ids=["signed", "confirmed"],
)
async def test_a_signed_block_is_resolved_without_a_waiting_client(
    sandbox: AttoNetwork,
    start: Start,
    sink: CallbackSink,
    dying: Callable[[], DyingDatabase],
    point: CrashPoint,
) -> None:
    async with start() as service:
        address = await service.open_account(sandbox, 2 * ATTO)
    async with start() as service:
        await die(sandbox, dying(), point, partial(pay, service, address, KEY))
    # Nor does the node keep a history: what the service signed it knows by itself.
    sandbox.faults.refusal = Refusal(status=HTTPStatus.NOT_FOUND, count=100_000, path="/accounts/entries")
    async with start() as service:
        await service.until_balance(address, ATTO)
        await assert_books(service, sandbox, sink, address)
