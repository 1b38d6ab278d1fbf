"""The outcome of a signed block is found out, never guessed, whatever the node says and when it says it."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client import generate_latest
from sqlalchemy import Connection

from strongroom.atto.gateway import NodeRejected, NodeUnavailable
from strongroom.atto.protocol import AccountKeys, Address, Mnemonic, Transaction
from strongroom.core.coordination.lease import Lease
from strongroom.core.intents.intent import Intent, Outcome
from strongroom.core.intents.signing import Draft
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import CommitUnknown
from strongroom_sandbox.atto.faults.faults import Refusal
from support.atto_account import AttoAccount
from support.atto_network import AttoNetwork
from support.atto_network import running_network as running_sandbox
from support.atto_service import ATTO, NOBODY, AttoService, Wallet, assert_refused, entry, running_service
from support.meddling_node import MeddlingNode, meddle
from support.waiting import eventually

pytestmark = pytest.mark.anyio

ELSEWHERE = Address.parse(NOBODY)
REASON = "The node rejected the transaction: INVALID_AMOUNT"


@pytest.fixture
async def sandbox() -> AsyncIterator[AttoNetwork]:
    async with running_sandbox() as network:
        yield network


@pytest.fixture
async def service(sandbox: AttoNetwork, tmp_path: Path) -> AsyncIterator[AttoService]:
    async with running_service(sandbox, {"STRONGROOM_DATA": str(tmp_path)}) as service:
        yield service


@pytest.fixture
async def wallet(service: AttoService) -> Wallet:
    return await service.create_wallet()


@pytest.fixture
async def address(service: AttoService, sandbox: AttoNetwork, wallet: Wallet) -> str:
    """An open account with 50 ATTO."""
    return await service.open_account(sandbox, 50 * ATTO, wallet)


@pytest.fixture
def twin(wallet: Wallet) -> AttoAccount:
    """The same account in a wallet elsewhere."""
    keys = AccountKeys(Mnemonic.parse(wallet.mnemonic).seed())
    return AttoAccount(keys.private_key(0))


async def publish_elsewhere(sandbox: AttoNetwork, transaction: Transaction) -> None:
    await sandbox.sandbox.node.elections.publish(transaction, deduplicate=False)


async def send_elsewhere(sandbox: AttoNetwork, twin: AttoAccount, amount_raw: int) -> None:
    state = sandbox.state(twin.address.path)
    assert state is not None
    await publish_elsewhere(sandbox, twin.send(state, ELSEWHERE, amount_raw))


def refuse_requests(sandbox: AttoNetwork, path: str, code: HTTPStatus, *, times: int) -> None:
    """The node answers so to what starts with `path`."""
    sandbox.faults.refusal = Refusal(status=code, count=times, path=path)


async def status(service: AttoService, block_hash: str) -> dict[str, Any]:
    document: dict[str, Any] = await service.get(f"/wallets/accounts/transactions/{block_hash}")
    return document


def confirm_late(node: MeddlingNode, sandbox: AttoNetwork) -> None:
    """Refuses the next publish, and confirms the block between two questions about it."""
    published: list[Transaction] = []

    async def refuse(transaction: Transaction) -> None:
        published.append(transaction)
        raise NodeRejected("The node rejected the transaction: OLD_TRANSACTION", reason="OLD_TRANSACTION")

    async def not_yet(_block_hash: bytes) -> None:
        await publish_elsewhere(sandbox, published[0])

    node.instead = {"publish": [refuse], "transaction": [not_yet]}


async def test_a_block_that_is_confirmed_between_two_questions_is_not_taken_for_rejected(
    service: AttoService, sandbox: AttoNetwork, address: str
) -> None:
    confirm_late(meddle(service), sandbox)
    sent = entry(await service.send(address, NOBODY, ATTO))
    assert (await status(service, sent["hash"]))["state"] == "CONFIRMED"
    assert await service.details(address) == await service.until_balance(address, 49 * ATTO)


@pytest.mark.parametrize(
    "reason",
    ["OLD_TRANSACTION", "PREVIOUS_NOT_FOUND", "INVALID_PREVIOUS", "SOMETHING_NEW", "ALREADY_CONFIRMED"],
)
async def test_a_refusal_that_may_pass_is_not_the_end(
    service: AttoService, address: str, reason: str
) -> None:
    node = meddle(service)
    node.refuse_next(reason)
    entry(await service.send(address, NOBODY, ATTO))
    assert node.calls.count("publish") == 2


async def test_a_refusal_that_cannot_pass_is_the_end_and_frees_the_account(
    service: AttoService, address: str
) -> None:
    node = meddle(service)
    node.refuse_next("INVALID_AMOUNT")
    refused = await service.send(address, NOBODY, ATTO)
    assert_refused(refused, 422, "The node rejected the transaction: INVALID_AMOUNT", "node_rejected")
    assert node.calls.count("publish") == 1
    entry(await service.send(address, NOBODY, ATTO))


async def test_a_400_in_another_format_leaves_the_outcome_open(
    service: AttoService, sandbox: AttoNetwork, address: str
) -> None:
    """As from a proxy in front of the node."""
    refuse_requests(sandbox, "/transactions/stream", HTTPStatus.BAD_REQUEST, times=2)
    entry(await service.send(address, NOBODY, ATTO))


async def test_a_block_that_lost_to_another_wallet_is_built_again_on_the_winner(
    service: AttoService, sandbox: AttoNetwork, address: str, twin: AttoAccount
) -> None:
    """The outcome is found although no stream reports it."""
    refuse_requests(sandbox, "/accounts/stream", HTTPStatus.SERVICE_UNAVAILABLE, times=100_000)
    sandbox.cut_streams()
    await send_elsewhere(sandbox, twin, 7)
    sent = entry(await service.send(address, NOBODY, ATTO))
    assert (sent["height"], sent["previousBalance"]) == (3, 50 * ATTO - 7)


async def test_a_node_that_cannot_show_the_other_block_is_not_believed(
    service: AttoService, sandbox: AttoNetwork, address: str
) -> None:
    node = meddle(service)
    node.refuse_next("OLD_TRANSACTION")
    state = sandbox.state(address)
    assert state is not None

    async def ahead(_address: Address) -> Any:
        return replace(state, height=state.height + 3, frontier=bytes(32))

    node.instead["account"] = [ahead]
    entry(await service.send(address, NOBODY, ATTO))
    assert node.calls.count("publish") == 2


async def test_a_receivable_whose_block_lost_to_another_wallet_is_received_by_the_next(
    service: AttoService, sandbox: AttoNetwork, address: str, twin: AttoAccount
) -> None:
    node = meddle(service)
    publish = node.node.publish

    async def too_late(transaction: Transaction) -> None:
        await send_elsewhere(sandbox, twin, 7)
        await publish(transaction)

    node.instead["publish"] = [too_late]
    await sandbox.fund(address, 3 * ATTO)
    await service.until_balance(address, 53 * ATTO - 7)


async def test_what_another_replica_has_settled_is_not_published_again(
    service: AttoService, sandbox: AttoNetwork, address: str, tmp_path: Path
) -> None:
    node = meddle(service)
    settled = asyncio.Event()

    async def away(transaction: Transaction) -> None:
        async with running_service(sandbox, {"STRONGROOM_DATA": str(tmp_path)}) as other:
            meddle(other).refuse_next("INVALID_AMOUNT")
            intent = await other.ledger.use_cases.submitter.resume(transaction.hash)
            assert intent is not None
            assert (intent.outcome, intent.stage, intent.reason) == (Outcome.REJECTED, "RULE", REASON)
        settled.set()
        raise NodeUnavailable("The node does not answer")

    node.instead["publish"] = [away]
    refused = await service.send(address, NOBODY, ATTO)
    assert_refused(refused, 422, "The node rejected the transaction: INVALID_AMOUNT", "node_rejected")
    assert settled.is_set()
    assert node.calls.count("publish") == 1


@pytest.mark.parametrize("committed", [True, False])
async def test_a_commit_without_an_answer_is_unknown_and_the_same_key_pays_once(
    service: AttoService,
    sandbox: AttoNetwork,
    address: str,
    monkeypatch: pytest.MonkeyPatch,
    committed: bool,
) -> None:
    database = service.ledger.database
    write = database.write

    async def write_without_an_answer(work: Callable[[Connection], Any]) -> Any:
        if not work.__qualname__.startswith("Signing.sign"):
            return await write(work)
        with contextlib.suppress(RolledBack):
            await write(work if committed else partial(undo, work))
        monkeypatch.setattr(
            database, "write", write
        )  # not before it was signed: work may be missing at first
        raise CommitUnknown

    monkeypatch.setattr(database, "write", write_without_an_answer)
    unknown = await service.send(address, NOBODY, ATTO, key="once")
    assert (unknown.status_code, unknown.json()["code"]) == (504, "outcome_unknown")
    found = re.search(r"whether transaction ([0-9A-F]{64}) was stored", unknown.json()["message"])
    assert found is not None
    asked = await service.client.get(f"/wallets/accounts/transactions/{found[1]}")
    assert asked.status_code == (200 if committed else 404)
    paid = entry(await service.send(address, NOBODY, ATTO, key="once"))
    if committed:  # else it is signed anew, and may be the same block: its timestamp may be the account's own
        assert paid["hash"] == found[1]
    assert (paid["height"], paid["balance"]) == (2, 49 * ATTO)
    state = sandbox.state(address)
    assert state is not None
    assert state.height == 2


class RolledBack(Exception):
    """Undoes a unit of work."""


def undo(work: Callable[[Connection], Any], connection: Connection) -> None:
    work(connection)
    raise RolledBack


async def test_a_process_whose_request_was_taken_over_signs_nothing(
    service: AttoService, sandbox: AttoNetwork, address: str, tmp_path: Path
) -> None:
    """It was paused between the claim of the key and the signature; its lease ran out meanwhile."""
    signing, leases = service.ledger.use_cases.submitter._signing, service.ledger.leases
    sign = signing.sign
    answers: list[httpx2.Response] = []

    async def held_back(lease: Lease, database: Database) -> None:
        del lease, database
        await asyncio.Event().wait()

    async def sign_after_the_other(draft: Draft) -> Intent:
        signing.sign = sign  # type: ignore[method-assign]
        leases._renew = held_back  # type: ignore[method-assign] # a paused process renews nothing
        sandbox.clock.ahead_ms += 70_000  # an expiry that nobody has watched counts a minute later
        async with running_service(sandbox, {"STRONGROOM_DATA": str(tmp_path)}) as other:
            answers.append(await other.send(address, NOBODY, ATTO, key="once"))
        return await sign(draft)

    signing.sign = sign_after_the_other  # type: ignore[method-assign]
    late = await service.send(address, NOBODY, ATTO, key="once")
    assert (late.status_code, late.json()["code"]) == (503, "lease_lost")
    assert entry(await service.send(address, NOBODY, ATTO, key="once")) == entry(answers[0])
    state = sandbox.state(address)
    assert state is not None
    assert (state.height, state.balance) == (2, 49 * ATTO)


async def test_a_block_that_another_replica_is_resolving_is_no_change_made_elsewhere(
    service: AttoService, sandbox: AttoNetwork, address: str, tmp_path: Path
) -> None:
    node, other_has_looked = meddle(service), asyncio.Event()
    publish = node.node.publish

    async def confirm_and_answer_late(transaction: Transaction) -> None:
        await publish(transaction)
        await other_has_looked.wait()

    node.instead["publish"] = [confirm_and_answer_late]
    async with running_service(sandbox, {"STRONGROOM_DATA": str(tmp_path)}) as other:
        sending = asyncio.create_task(service.send(address, NOBODY, ATTO))
        await eventually(lambda: (state := sandbox.state(address)) is not None and state.height == 2)
        state = sandbox.state(address)
        assert state is not None
        await other.ledger.use_cases.follower.take_over(state)
        other_has_looked.set()
        entry(await sending)
        assert (
            "strongroom_atto_external_changes_total 0.0" in generate_latest(other.metrics.registry).decode()
        )
