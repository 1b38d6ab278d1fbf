"""What goes wrong when it is told to, and how that looks to a client."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from strongroom.atto.protocol import (
    InvalidSignature,
    Transaction,
    decode_transaction,
    encode_transaction,
    validate_transaction,
)
from strongroom_sandbox.atto import AttoSandbox, Chain, Journal
from support.atto_account import account
from support.atto_sandbox import JSON, SandboxNode, running
from support.clock import ManualClock
from support.waiting import eventually

pytestmark = pytest.mark.anyio
ALICE, BOB = account(1), account(2)
NO_FAULTS = {
    "drop_reply": 0,
    "drop_request": 0,
    "hang_reply": 0,
    "stall_ms": 0,
    "refusal": None,
    "confirmation_delay_ms": None,
    "election_expired": 0,
    "then_confirm": False,
    "silent_duplicates": False,
    "lie": None,
    "silent_rivals": False,
    "clock_ahead_ms": 0,
}


async def break_it(node: SandboxNode, **faults: Any) -> None:
    response = await node.client.post("/_fault", json=faults)
    assert response.status_code == 200, response.text


async def opening(node: SandboxNode) -> Transaction:
    return ALICE.open(await node.fund(ALICE))


class TestControl:
    async def test_faults_are_shown_set_and_cleared(self, node: SandboxNode) -> None:
        assert (await node.client.get("/_fault")).json() == NO_FAULTS
        set_faults = {"drop_reply": 2, "lie": "balance", "status": 503, "count": 3, "path": "/accounts"}
        refusal = {"status": 503, "count": 3, "path": "/accounts"}
        shown = NO_FAULTS | {"drop_reply": 2, "lie": "balance", "refusal": refusal}
        assert (await node.client.post("/_fault", json=set_faults)).json() == shown
        assert (await node.client.post("/_fault", json={"lie": None})).json() == shown | {"lie": None}
        assert (await node.client.delete("/_fault")).json() == NO_FAULTS

    @pytest.mark.parametrize(
        "body", [{"drop_replies": 1}, {"drop_reply": -1}, {"lie": "everything"}, {"status": 999}, []]
    )
    async def test_faults_that_do_not_exist_are_refused(self, node: SandboxNode, body: object) -> None:
        assert (await node.client.post("/_fault", json=body)).status_code == 400
        assert (await node.client.get("/_fault")).json() == NO_FAULTS


class TestLostConnections:
    @pytest.mark.parametrize("path", ["/transactions", "/transactions/stream"])
    async def test_dropped_reply_hides_a_confirmation(self, node: SandboxNode, path: str) -> None:
        transaction = await opening(node)
        await break_it(node, drop_reply=1)
        with pytest.raises(httpx2.RemoteProtocolError):
            await node.publish(transaction, path)
        assert node.sandbox.chain.transaction(transaction.hash) == transaction
        again = await node.publish(transaction, f"{path}?deduplicate=true")
        assert again.status_code == 200

    async def test_dropped_request_changes_nothing(self, node: SandboxNode) -> None:
        transaction = await opening(node)
        await break_it(node, drop_request=1)
        with pytest.raises(httpx2.RemoteProtocolError):
            await node.publish(transaction)
        assert node.sandbox.chain.transaction(transaction.hash) is None
        assert (await node.publish(transaction)).status_code == 200

    async def test_queries_use_up_no_dropped_publish(self, node: SandboxNode) -> None:
        await break_it(node, drop_reply=1, drop_request=1)
        await node.client.get("/accounts/top")
        await node.client.post("/accounts", json={"addresses": []})
        await node.fund(ALICE)
        shown = (await node.client.get("/_fault")).json()
        assert (shown["drop_reply"], shown["drop_request"]) == (1, 1)

    async def test_cut_streams_fail_and_can_be_opened_again(
        self, node: SandboxNode, clock: ManualClock
    ) -> None:
        path = f"/accounts/{ALICE.hex}/receivables/stream"
        async with node.get_lines(path) as silent, node.get_lines("/accounts/entries/stream") as busy:
            await node.fund(BOB)
            await busy.next()
            await break_it(node, drop_streams=True)
            assert [await silent.rest(), await busy.rest()] == [[], []]
        assert isinstance(silent.error, httpx2.RemoteProtocolError)
        assert isinstance(busy.error, httpx2.RemoteProtocolError)
        async with node.get_lines(path) as lines:
            await node.fund(ALICE)
            clock.advance(1)
            assert await lines.next() is not None


class TestRefusals:
    async def test_status_is_answered_so_many_times_on_its_path(self, node: SandboxNode) -> None:
        await break_it(node, status=503, count=2, path="/accounts")
        answers = [
            await node.client.get(path)
            for path in (
                f"/transactions/{bytes(32).hex()}",
                "/accounts/top",
                "/accounts/top",
                "/accounts/top",
            )
        ]
        assert [answer.status_code for answer in answers] == [404, 503, 503, 200]
        assert answers[1].json()["error"] == "Service Unavailable"

    async def test_every_response_is_stalled_except_the_sandboxs_own(
        self, node: SandboxNode, clock: ManualClock
    ) -> None:
        await break_it(node, stall_ms=3000)
        asking = asyncio.create_task(node.client.get("/accounts/top"))
        assert await clock.sleepers() == [3.0]
        assert not asking.done()
        await node.client.delete("/_fault")
        clock.advance(3)
        assert (await asking).status_code == 200


class TestElections:
    async def test_expired_election_confirms_nothing(self, node: SandboxNode) -> None:
        transaction = await opening(node)
        await break_it(node, election_expired=1)
        response = await node.publish(transaction)
        assert (response.status_code, response.json()["message"]) == (
            503,
            "Transaction rejected due to ELECTION_EXPIRED: Election took too long",
        )
        assert node.sandbox.chain.transaction(transaction.hash) is None
        assert (await node.publish(transaction)).status_code == 200

    async def test_expired_election_can_confirm_later(self, node: SandboxNode, clock: ManualClock) -> None:
        transaction = await opening(node)
        await break_it(node, election_expired=1, then_confirm=True, confirmation_delay_ms=5000)
        assert (await node.publish(transaction)).status_code == 503
        assert await node.state(ALICE) is None
        assert await clock.sleepers() == [5.0]
        clock.advance(5)
        await eventually(lambda: node.sandbox.chain.transaction(transaction.hash) == transaction)

    async def test_refused_transaction_uses_up_no_expiry(self, node: SandboxNode) -> None:
        await break_it(node, election_expired=1)
        transaction = await opening(node)
        stranger = BOB.sign(transaction.block)
        assert (await node.publish(stranger)).status_code == 400
        assert (await node.publish(transaction)).status_code == 503

    async def test_confirmation_can_be_delayed(self, node: SandboxNode, clock: ManualClock) -> None:
        await break_it(node, confirmation_delay_ms=700)
        publishing = asyncio.create_task(node.publish(await opening(node)))
        assert await clock.sleepers() == [0.7]
        clock.advance(0.7)
        assert (await publishing).status_code == 200

    async def test_repeated_transaction_can_be_ignored_for_a_minute(self, clock: ManualClock) -> None:
        sandbox = AttoSandbox(Chain(), clock, reply_timeout_s=0.05)
        async with running(sandbox) as node:
            state = await node.open(ALICE)
            sending = ALICE.send(state, BOB.address, 1)
            await break_it(node, silent_duplicates=True)
            statuses = [(await node.publish(sending)).status_code for _ in range(2)]
            clock.advance(61)
            statuses.append((await node.publish(sending)).status_code)
        assert statuses == [200, 500, 200]


@pytest.fixture
async def journalled(clock: ManualClock, tmp_path: Path) -> AsyncIterator[SandboxNode]:
    sandbox = AttoSandbox(Chain(), clock, journal=Journal(tmp_path / "atto.jsonl"))
    async with running(sandbox) as node:
        yield node


class TestRestart:
    async def test_comes_back_from_its_journal(self, journalled: SandboxNode, clock: ManualClock) -> None:
        state = await journalled.open(ALICE)
        old = journalled.sandbox.chain
        clock.advance(1)
        await break_it(journalled, restart=True, down_ms=2000)
        await eventually(lambda: journalled.sandbox.chain is not old)
        with pytest.raises(httpx2.TransportError):
            await journalled.state(ALICE)
        clock.advance(2)
        assert await journalled.state(ALICE) == state
        assert journalled.sandbox.chain.entries(ALICE.public_key, 1, 9) == old.entries(ALICE.public_key, 1, 9)

    async def test_loses_what_was_not_confirmed(self, journalled: SandboxNode, clock: ManualClock) -> None:
        transaction = await opening(journalled)
        await break_it(journalled, confirmation_delay_ms=10_000)
        publishing = asyncio.create_task(journalled.publish(transaction))
        await clock.sleepers()
        await break_it(journalled, restart=True)
        with pytest.raises(httpx2.TransportError):
            await publishing
        clock.advance(20)
        await break_it(journalled, confirmation_delay_ms=0)
        assert await journalled.state(ALICE) is None
        assert (await journalled.publish(transaction)).status_code == 200

    async def test_cuts_streams(self, journalled: SandboxNode) -> None:
        async with journalled.get_lines("/transactions/stream") as lines:
            await break_it(journalled, restart=True)
            assert await lines.rest() == []
        assert lines.error is not None

    async def test_announces_receivables_of_the_future_again(
        self, journalled: SandboxNode, clock: ManualClock
    ) -> None:
        for _ in range(2):
            await journalled.fund(ALICE, 5)
        await break_it(journalled, restart=True)
        await eventually(lambda: journalled.sandbox.node.hub._delayed != {})
        async with journalled.get_lines(f"/accounts/{ALICE.hex}/receivables/stream") as lines:
            assert (await lines.next() or {})["timestamp"] == clock.now_ms()
            clock.advance(0.001)
            assert (await lines.next() or {})["timestamp"] == clock.now_ms()


class TestLies:
    """Each one is a change that the client can notice; the ledger stays as it is."""

    @pytest.mark.parametrize(
        ("lie", "field"),
        [
            ("balance", "balance"),
            ("network", "network"),
            ("previous", "lastTransactionHash"),
            ("height", "height"),
            ("representative", "representativePublicKey"),
        ],
    )
    async def test_about_accounts(self, node: SandboxNode, lie: str, field: str) -> None:
        await node.open(ALICE)
        path = f"/accounts/{ALICE.hex}"
        assert changed(await documents(node, path, lie)) == {field}

    @pytest.mark.parametrize(
        ("lie", "field"),
        [("balance", "amount"), ("network", "network"), ("sender", "publicKey"), ("hash", "hash")],
    )
    async def test_about_receivables(self, node: SandboxNode, lie: str, field: str) -> None:
        await node.fund(ALICE)
        path = f"/accounts/{ALICE.hex}/receivables/stream"
        assert changed(await documents(node, path, lie)) == {field}

    @pytest.mark.parametrize(
        ("lie", "field"),
        [
            ("balance", {"balance"}),
            ("height", {"height"}),
            ("sender", {"subjectPublicKey", "subjectAddress"}),
            ("hash", {"hash"}),
        ],
    )
    async def test_about_entries(self, node: SandboxNode, lie: str, field: set[str]) -> None:
        await node.open(ALICE)
        path = f"/accounts/{ALICE.hex}/entries/stream?toHeight=1"
        assert changed(await documents(node, path, lie)) == field

    @pytest.mark.parametrize("lie", ["balance", "network", "previous", "hash"])
    async def test_about_blocks_have_another_hash(self, node: SandboxNode, lie: str) -> None:
        sending = ALICE.send(await node.open(ALICE), BOB.address, 1)
        await break_it(node, lie=lie)
        told = decode_transaction((await node.publish(sending)).content)
        assert told.hash != sending.hash
        assert node.sandbox.chain.transaction(sending.hash) == sending

    async def test_about_signatures(self, node: SandboxNode, clock: ManualClock) -> None:
        transaction = await opening(node)
        await break_it(node, lie="signature")
        told = decode_transaction((await node.publish(transaction)).content)
        assert told.hash == transaction.hash
        with pytest.raises(InvalidSignature):
            validate_transaction(told, network=told.block.network, now_ms=clock.now_ms())

    async def test_about_work(self, node: SandboxNode) -> None:
        transaction = await opening(node)
        await break_it(node, lie="work")
        told = decode_transaction((await node.publish(transaction)).content)
        assert (told.block, told.signature) == (transaction.block, transaction.signature)
        assert told.work != transaction.work


async def documents(node: SandboxNode, path: str, lie: str) -> list[dict[str, Any]]:
    """What the node says at `path` in truth and with the lie."""
    found = []
    for fault in (None, lie):
        await break_it(node, lie=fault)
        async with node.get_lines(path) as lines:
            document = await lines.next()
            assert document is not None
            found.append(document)
    return found


def changed(documents: list[dict[str, Any]]) -> set[str]:
    truth, told = documents
    return {field for field in truth if truth[field] != told[field]}


async def test_only_the_own_listener_shows_its_connections() -> None:
    """Another server answers 500 where a connection should be dropped, and says why."""
    sandbox = AttoSandbox(Chain(), ManualClock())
    sandbox.node.faults.drop_request = 1
    sent: list[Any] = []
    scope: Any = {"type": "http", "method": "POST", "path": "/transactions", "headers": []}

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    with pytest.raises(RuntimeError, match="own listener"):
        await sandbox.node_app(scope, receive, send)
    await sandbox.aclose()


async def test_body_is_read_before_a_dropped_reply(node: SandboxNode) -> None:
    """A large publish is carried out although nobody hears of it."""
    transaction = await opening(node)
    await break_it(node, drop_reply=1)
    padded = encode_transaction(transaction)[:-1] + b" " * 200_000 + b"}"
    with pytest.raises(httpx2.TransportError):
        await node.client.post("/transactions", content=padded, headers=JSON)
    assert node.sandbox.chain.transaction(transaction.hash) == transaction
