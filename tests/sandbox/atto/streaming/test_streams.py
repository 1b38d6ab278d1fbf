"""What streams start with, go on with, and how they end."""

import asyncio
from typing import Any

import httpx2
import pytest

from strongroom.atto.protocol import Address, send_block
from strongroom_sandbox.atto import GENESIS_ADDRESS
from support.atto_account import account
from support.atto_sandbox import SandboxNode
from support.clock import ManualClock
from support.waiting import eventually

pytestmark = pytest.mark.anyio
ALICE, BOB, CAROL = account(1), account(2), account(3)


def addresses(*owners: Address) -> dict[str, object]:
    return {"addresses": [owner.uri for owner in owners]}


def heights(*ranges: tuple[Address, int, int | None]) -> dict[str, object]:
    search: list[dict[str, object]] = []
    for address, first, last in ranges:
        item: dict[str, object] = {"address": address.uri, "fromHeight": first}
        search.append(item if last is None else item | {"toHeight": last})
    return {"search": search}


async def send(node: SandboxNode, count: int) -> None:
    """So many more blocks of Alice, who is open."""
    for _ in range(count):
        state = await node.state(ALICE)
        assert state is not None
        response = await node.publish(ALICE.send(state, BOB.address, 1))
        assert response.status_code == httpx2.codes.OK


class TestReceivables:
    path = "/accounts/receivables/stream"

    async def test_existing_come_largest_first_and_live_ones_follow(
        self, node: SandboxNode, clock: ManualClock
    ) -> None:
        for owner, amount_raw in ((ALICE, 5), (BOB, 30), (ALICE, 10), (CAROL, 99)):
            await node.fund(owner, amount_raw)
        clock.advance(1)
        async with node.post_lines(self.path, addresses(ALICE.address, BOB.address)) as lines:
            existing = [await lines.next() for _ in range(3)]
            await node.fund(CAROL)
            live = await node.fund(BOB, 7)
            clock.advance(1)
            assert [line["amount"] for line in existing if line] == [30, 10, 5]
            assert await lines.next() == {
                "network": "LOCAL",
                "hash": live.hash.hex().upper(),
                "version": 0,
                "algorithm": "V1",
                "publicKey": GENESIS_ADDRESS.public_key.hex().upper(),
                "timestamp": live.timestamp_ms,
                "receiverAlgorithm": "V1",
                "receiverPublicKey": BOB.hex,
                "amount": 7,
            }

    async def test_minimum_amount_is_included(self, node: SandboxNode, clock: ManualClock) -> None:
        for amount_raw in (9, 10, 11):
            await node.fund(ALICE, amount_raw)
        clock.advance(1)
        path = f"/accounts/{ALICE.hex}/receivables/stream?minAmount=10"
        async with node.get_lines(path) as lines:
            await node.fund(ALICE, 9)
            await node.fund(ALICE, 12)
            clock.advance(1)
            assert [(await lines.next() or {})["amount"] for _ in range(3)] == [11, 10, 12]

    async def test_received_ones_are_gone(self, node: SandboxNode, clock: ManualClock) -> None:
        await node.open(ALICE)
        later = await node.fund(ALICE, 3)
        async with node.get_lines(f"/accounts/{ALICE.hex}/receivables/stream") as lines:
            clock.advance(1)
            assert (await lines.next() or {})["hash"] == later.hash.hex().upper()

    async def test_one_of_the_future_waits_for_its_time(self, node: SandboxNode, clock: ManualClock) -> None:
        """Whether the stream was there first or the receivable was."""
        alice = await node.open(ALICE)
        early = node.get_lines(f"/accounts/{BOB.hex}/receivables/stream")
        late = node.get_lines(f"/accounts/{BOB.hex}/receivables/stream")
        async with early:
            await node.publish(ALICE.sign(send_block(alice, BOB.public_key, 77, clock.now_ms() + 30_000)))
            async with late:
                assert max(await clock.sleepers()) == 30.0
                clock.advance(29)
                await node.fund(BOB, 1)
                assert [(await lines.next() or {})["amount"] for lines in (early, late)] == [1, 1]
                clock.advance(1)
                assert [(await lines.next() or {})["amount"] for lines in (early, late)] == [77, 77]

    async def test_as_many_addresses_on_one_stream_as_a_node_takes(self, node: SandboxNode) -> None:
        many = [account(number).address for number in range(1, 3)]
        fillers = [Address(public_key=number.to_bytes(32, "big")) for number in range(3_498)]
        async with node.post_lines(self.path, addresses(*fillers, *many)) as lines:
            await node.fund(BOB, 4)
            assert (await lines.next() or {})["receiverPublicKey"] == BOB.hex
        await eventually(lambda: not node.sandbox.node.hub.streams)


class TestAccounts:
    async def test_present_state_then_every_later_one(self, node: SandboxNode) -> None:
        await node.open(ALICE)
        async with node.post_lines("/accounts/stream", addresses(ALICE.address, BOB.address)) as lines:
            await send(node, 2)
            await node.open(BOB)
            seen = [await lines.next() for _ in range(4)]
        assert [(line["publicKey"], line["height"], line["balance"]) for line in seen if line] == [
            (ALICE.hex, 1, 1000),
            (ALICE.hex, 2, 999),
            (ALICE.hex, 3, 998),
            (BOB.hex, 1, 1000),
        ]

    async def test_of_one_account(self, node: SandboxNode) -> None:
        async with node.get_lines(f"/accounts/{ALICE.hex}/stream") as lines:
            await node.open(ALICE)
            assert (await lines.next() or {})["balance"] == 1000

    async def test_of_all_accounts_from_now_on(self, node: SandboxNode) -> None:
        await node.open(ALICE)
        async with node.get_lines("/accounts/stream") as lines:
            await send(node, 1)
            assert (await lines.next() or {})["height"] == 2


@pytest.mark.parametrize("kind", ["entries", "transactions"])
class TestByHeight:
    """Entries and transactions share their rules."""

    async def test_history_goes_on_live_without_gap_and_ends(self, node: SandboxNode, kind: str) -> None:
        await node.open(ALICE)
        await send(node, 2)
        async with node.get_lines(f"/accounts/{ALICE.hex}/{kind}/stream?fromHeight=2&toHeight=6") as lines:
            await send(node, 5)
            assert [height_of(line) for line in await lines.rest()] == [2, 3, 4, 5, 6]
        assert lines.error is None

    async def test_of_several_accounts(self, node: SandboxNode, kind: str) -> None:
        await node.open(ALICE)
        await send(node, 1)
        search = heights((ALICE.address, 1, 2), (BOB.address, 1, 1), (ALICE.address, 2, 3))
        async with node.post_lines(f"/accounts/{kind}/stream", search) as lines:
            await node.open(BOB)
            await send(node, 1)
            found = [(key_of(line), height_of(line)) for line in await lines.rest()]
        assert sorted(found) == sorted(
            [(ALICE.hex, 1), (ALICE.hex, 2), (ALICE.hex, 2), (ALICE.hex, 3), (BOB.hex, 1)]
        )
        assert [height for key, height in found if key == ALICE.hex][:2] == [1, 2]

    async def test_without_an_end_it_goes_on(self, node: SandboxNode, kind: str) -> None:
        await node.open(ALICE)
        async with node.post_lines(f"/accounts/{kind}/stream", heights((ALICE.address, 1, None))) as lines:
            await send(node, 3)
            assert [height_of(await lines.next() or {}) for _ in range(4)] == [1, 2, 3, 4]

    async def test_empty_search_ends_at_once(self, node: SandboxNode, kind: str) -> None:
        async with node.post_lines(f"/accounts/{kind}/stream", {"search": []}) as lines:
            assert await lines.rest() == []
        assert lines.status == 200

    @pytest.mark.parametrize(
        ("first", "last", "text"),
        [
            (0, 5, "fromHeight can't be zero"),
            (6, 5, "toHeight must be greater or equal to fromHeight"),
        ],
    )
    async def test_impossible_range_is_refused(
        self, node: SandboxNode, kind: str, first: int, last: int, text: str
    ) -> None:
        posted = await node.client.post(
            f"/accounts/{kind}/stream", json=heights((BOB.address, 1, 1), (ALICE.address, first, last))
        )
        got = await node.client.get(f"/accounts/{ALICE.hex}/{kind}/stream?fromHeight={first}&toHeight={last}")
        assert [(answer.status_code, answer.json()["message"]) for answer in (posted, got)] == [
            (400, text)
        ] * 2

    async def test_of_everything_from_now_on(self, node: SandboxNode, kind: str) -> None:
        await node.open(ALICE)
        path = "/accounts/entries/stream" if kind == "entries" else "/transactions/stream"
        async with node.get_lines(path) as lines:
            await send(node, 1)
            assert height_of(await lines.next() or {}) == 2

    async def test_of_one_hash_before_and_after_it_is_confirmed(self, node: SandboxNode, kind: str) -> None:
        opening = ALICE.open(await node.fund(ALICE))
        prefix = "/accounts/entries" if kind == "entries" else "/transactions"
        path = f"{prefix}/{opening.hash.hex()}/stream"
        async with node.get_lines(path) as waiting:
            await node.publish(opening)
            before = await waiting.rest()
        async with node.get_lines(path) as asking:
            after = await asking.rest()
        assert before == after
        assert [(key_of(line), height_of(line)) for line in after] == [(ALICE.hex, 1)]


def height_of(line: dict[str, Any]) -> int:
    height: int = line["height"] if "height" in line else line["block"]["height"]
    return height


def key_of(line: dict[str, Any]) -> str:
    key: str = line["publicKey"] if "publicKey" in line else line["block"]["publicKey"]
    return key


class TestConnection:
    async def test_headers_come_with_the_first_line(self, node: SandboxNode) -> None:
        async with node.get_lines(f"/accounts/{ALICE.hex}/receivables/stream") as lines:
            await node.client.get("/accounts/top")
            assert lines.status is None
            await node.fund(ALICE)
            await lines.next()
            assert lines.status == 200

    async def test_client_that_leaves_is_forgotten(self, node: SandboxNode) -> None:
        hub = node.sandbox.node.hub
        async with node.get_lines(f"/accounts/{ALICE.hex}/receivables/stream"):
            assert len(hub.streams) == 1
        await eventually(lambda: len(hub.streams) == 0)
        assert not hub.receivables._listeners

    async def test_closing_ends_streams_in_order(self, node: SandboxNode) -> None:
        async with node.get_lines(f"/accounts/{ALICE.hex}/stream") as lines:
            await node.open(ALICE)
            await node.sandbox.aclose()
            assert [line["height"] for line in await lines.rest()] == [1]
        assert (lines.status, lines.error) == (200, None)

    async def test_nothing_is_left_running(self, node: SandboxNode, clock: ManualClock) -> None:
        before = asyncio.all_tasks()
        async with node.get_lines("/transactions/stream") as lines:
            await node.open(ALICE)
            await lines.next()
        await eventually(lambda: len(node.sandbox.node.hub.streams) == 0)
        await node.client.aclose()
        clock.advance(60)
        await eventually(lambda: asyncio.all_tasks() <= before)
