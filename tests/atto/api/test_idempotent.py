"""Idempotency-Key on SEND and CHANGE: one payment a key, whatever happens to its answers."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

import httpx2
import pytest
from sqlalchemy import Connection

from atto.conftest import Start
from strongroom.atto.protocol import Transaction
from strongroom.core.security.access import OPERATOR
from strongroom.core.storage.errors import CommitUnknown, ConnectionSevered
from strongroom_sandbox.atto.faults.faults import FaultRequest
from support.atto_network import AttoNetwork
from support.atto_service import ATTO, NOBODY, AttoService, assert_refused, entry, stored_work, until
from support.running import running
from support.waiting import eventually

pytestmark = pytest.mark.anyio
RUNNING = "The first request with this Idempotency-Key is still being processed"
REUSED = "This Idempotency-Key was used for a request with other content"


@pytest.fixture
async def address(service: AttoService, network: AttoNetwork) -> str:
    """An account with 50 ATTO."""
    return await service.open_account(network)


def height(network: AttoNetwork, address: str) -> int:
    state = network.state(address)
    return state.height if state else 0


async def repeat(service: AttoService, address: str, key: str) -> httpx2.Response:
    """The same payment again, until it is no longer being processed."""
    return await until(
        lambda: service.send(address, NOBODY, ATTO, key=key), lambda response: response.status_code != 409
    )


async def test_repetition_gets_the_same_answer_byte_by_byte(
    service: AttoService, network: AttoNetwork, address: str
) -> None:
    first = await service.send(address, NOBODY, ATTO, key="a")
    entry(first)
    again = await service.send(address, NOBODY, ATTO, key="a")
    assert (again.status_code, again.content) == (first.status_code, first.content)
    changed = await service.change(address, NOBODY, key="b")
    entry(changed)
    assert (await service.change(address, NOBODY, key="b")).content == changed.content
    assert height(network, address) == 3


async def test_without_a_key_a_repetition_is_another_payment(
    service: AttoService, network: AttoNetwork, address: str
) -> None:
    for _ in range(2):
        entry(await service.send(address, NOBODY, ATTO))
    assert height(network, address) == 3


async def test_key_of_another_request_is_refused(
    service: AttoService, network: AttoNetwork, address: str
) -> None:
    other = await service.open_account(network)
    entry(await service.send(address, NOBODY, ATTO, key="a"))
    for response in (
        await service.send(address, NOBODY, ATTO + 1, key="a"),
        await service.send(address, other, ATTO, key="a"),
        await service.send(address, NOBODY, ATTO, key="a", lastHeight=2),
        await service.send(other, NOBODY, ATTO, key="a"),
        await service.change(address, NOBODY, key="a"),
    ):
        assert_refused(response, 422, REUSED, "idempotency_key_reused")
    assert (height(network, address), height(network, other)) == (2, 1)


async def test_repetition_of_what_still_runs_is_a_conflict(
    service: AttoService, network: AttoNetwork, address: str
) -> None:
    network.faults.confirmation_delay_ms = 500
    sends = [asyncio.create_task(service.send(address, NOBODY, ATTO, key="a")) for _ in range(4)]
    answers = sorted([await send for send in sends], key=lambda response: response.status_code)
    entry(answers[0])
    for response in answers[1:]:
        assert_refused(response, 409, RUNNING, "idempotency_key_in_progress")
    assert (await service.send(address, NOBODY, ATTO, key="a")).content == answers[0].content
    assert height(network, address) == 2


async def test_refusal_is_an_answer_too(service: AttoService, network: AttoNetwork) -> None:
    """The stored answer stays the answer, even if the same request would succeed now."""
    poor = await service.open_account(network, 1)
    first = await service.send(poor, NOBODY, 2, key="a")
    assert_refused(first, 400, "Not enough balance.", "insufficient_balance")
    await network.fund(poor, 1)
    await service.until_balance(poor, 2)
    assert (await service.send(poor, NOBODY, 2, key="a")).content == first.content
    entry(await service.send(poor, NOBODY, 2, key="b"))


@pytest.mark.parametrize("key", ["x" * 191, "tab\tbed"])
async def test_impossible_key_is_refused(service: AttoService, address: str, key: str) -> None:
    response = await service.send(address, NOBODY, ATTO, key=key)
    assert_refused(response, 400, "An Idempotency-Key has 1 to 190 printable characters", "invalid_input")


async def test_keys_of_different_callers_are_different(
    service: AttoService, network: AttoNetwork, address: str
) -> None:
    for name in ("shop", "bank"):
        token = await service.ledger.tokens.create(OPERATOR, name, ["atto:*"])
        service.client.headers["Authorization"] = f"Bearer {token.secret}"
        entry(await service.send(address, NOBODY, ATTO, key="a"))
    assert height(network, address) == 3


async def test_answer_outlives_the_process(start: Start, network: AttoNetwork) -> None:
    async with start() as service:
        address = await service.open_account(network)
        first = await service.send(address, NOBODY, ATTO, key="a")
        refused = await service.send(address, NOBODY, 51 * ATTO, key="b")
    async with start() as service:
        assert (await service.send(address, NOBODY, ATTO, key="a")).content == first.content
        assert (await service.send(address, NOBODY, 51 * ATTO, key="b")).content == refused.content
        response = await service.send(address, NOBODY, 3, key="a")
        assert_refused(response, 422, REUSED, "idempotency_key_reused")
    assert height(network, address) == 2


async def test_reply_that_the_node_did_not_give_is_found_out(
    service: AttoService, network: AttoNetwork, address: str
) -> None:
    network.faults.drop_reply = 1
    first = await service.send(address, NOBODY, ATTO, key="a")
    assert entry(first)["height"] == 2
    assert (await service.send(address, NOBODY, ATTO, key="a")).content == first.content
    assert height(network, address) == 2


async def test_caller_who_hung_up_asks_again(
    service: AttoService, network: AttoNetwork, address: str
) -> None:
    network.faults.confirmation_delay_ms = 500
    async with running(service.send(address, NOBODY, ATTO, key="a")):
        await eventually(lambda: network.sandbox.node.elections.undecided > 0)
    answer = entry(await repeat(service, address, "a"))
    assert (answer["height"], height(network, address)) == (2, 2)


async def test_an_answer_with_an_open_outcome_says_where_to_ask(
    start: Start, network: AttoNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    elections, decided = network.sandbox.node.elections, asyncio.Event()
    confirm = elections._confirm

    async def confirm_when_decided(transaction: Transaction) -> None:
        await decided.wait()
        await confirm(transaction)

    async with start(ATTO_REQUEST_TIMEOUT_S="1") as service:
        address = await service.open_account(network)
        monkeypatch.setattr(elections, "_confirm", confirm_when_decided)
        response = await service.send(address, NOBODY, ATTO, key="a")
        assert (response.status_code, response.json()["code"]) == (504, "outcome_unknown")
        shown = response.json()["message"].split()[1]
        path = f"/wallets/accounts/transactions/{shown}"
        assert path in response.json()["message"]
        open_ = {"hash": shown, "state": "SIGNED", "reason": None, "entry": None}
        assert await service.get(path) == open_
        decided.set()
        answer = entry(
            await until(
                lambda: service.send(address, NOBODY, ATTO, key="a"), lambda answer: answer.is_success
            )
        )
        assert answer["hash"] == shown
        settled = {"hash": shown, "state": "CONFIRMED", "reason": None, "entry": answer}
        assert await service.get(path) == settled
        assert height(network, address) == 2


async def test_open_outcome_is_resolved_after_a_restart(start: Start, network: AttoNetwork) -> None:
    """The process ends while the block's outcome is unknown; the node never had the block."""
    async with start(ATTO_REQUEST_TIMEOUT_S="1") as service:
        address = await service.open_account(network)
        network.faults.drop_request = 1_000
        response = await service.send(address, NOBODY, ATTO, key="a")
        assert response.status_code == 504
        shown = response.json()["message"].split()[1]
    network.heal()
    async with start() as service:
        assert entry(await service.send(address, NOBODY, ATTO, key="a"))["hash"] == shown
        assert height(network, address) == 2
        assert entry(await service.send(address, NOBODY, ATTO, key="b"))["height"] == 3


async def test_what_was_not_signed_may_be_tried_again_at_once(
    start: Start, network: AttoNetwork, elsewhere: Callable[[str], list[list[str]]]
) -> None:
    async with start(ATTO_REQUEST_TIMEOUT_S="1") as service:
        address = await service.open_account(network)
        await until(lambda: stored_work(service, address), lambda work: work is not None)
        elsewhere("UPDATE strongroom_atto_account SET work = NULL")
        network.work_faults.set(FaultRequest(status=HTTPStatus.INTERNAL_SERVER_ERROR, count=1_000))
        words = "Timed out before anything was signed; it is safe to try again"
        assert_refused(await service.send(address, NOBODY, ATTO, key="a"), 503, words, "unavailable")
        network.heal()
        assert entry(await service.send(address, NOBODY, ATTO, key="a"))["height"] == 2


def fail_units(
    monkeypatch: pytest.MonkeyPatch, service: AttoService, way: str, unit: str, error: type[Exception]
) -> None:
    """From now on units of work of this name fail, and all others do not."""
    database = service.ledger.database
    real = getattr(database, way)

    async def run(work: Callable[[Connection], object]) -> object:
        if work.__qualname__.startswith(unit):
            raise error
        return await real(work)

    monkeypatch.setattr(database, way, run)


async def test_an_answer_is_given_though_it_cannot_be_stored(
    service: AttoService, network: AttoNetwork, address: str
) -> None:
    with pytest.MonkeyPatch.context() as broken:
        fail_units(broken, service, "write", "Idempotency._write", ConnectionSevered)
        paid = entry(await service.send(address, NOBODY, ATTO, key="a"))
    assert entry(await repeat(service, address, "a")) == paid
    assert height(network, address) == 2


async def test_a_repetition_without_the_database_does_not_say_that_nothing_was_signed(
    service: AttoService, network: AttoNetwork, address: str
) -> None:
    with pytest.MonkeyPatch.context() as broken:
        fail_units(broken, service, "write", "Idempotency._write", ConnectionSevered)
        paid = entry(await service.send(address, NOBODY, ATTO, key="a"))
        fail_units(broken, service, "read", "Resolver.wait", ConnectionSevered)
        unknown = await service.send(address, NOBODY, ATTO, key="a")
    assert (unknown.status_code, unknown.json()["code"]) == (504, "outcome_unknown")
    assert paid["hash"] in unknown.json()["message"]
    assert entry(await repeat(service, address, "a")) == paid
    assert height(network, address) == 2


async def test_a_key_that_may_be_stored_has_signed_nothing(
    service: AttoService, network: AttoNetwork, address: str
) -> None:
    with pytest.MonkeyPatch.context() as broken:
        fail_units(broken, service, "write", "Idempotency._insert", CommitUnknown)
        refused = await service.send(address, NOBODY, ATTO, key="a")
    assert_refused(refused, 503, "The database does not answer; nothing was signed", "database_unavailable")
    entry(await repeat(service, address, "a"))
    assert height(network, address) == 2
