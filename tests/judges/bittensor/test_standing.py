"""One blocking and one asyncio client of each SDK stay open while all around them refuses, ends and begins again.

After each trouble an allowed call must work, in both; and what arrived is what succeeded, once.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from strongroom.bittensor.gateway import Item
from strongroom.bittensor.gateway.node import NodeChain
from strongroom.bittensor.protocol.ss58 import decode_address, encode_address
from strongroom.core.clock import SystemClock, SystemEntropy
from support.bittensor.standing import BOB, Place, Standing, standing

# The first one waits for the installation, which is kept.
pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

CLIENTS = ("sync", "async")
SDKS = [("9.8.3", 293), ("10.5.0", 424), ("11.1.0", 424)]
MILLI = 10**6
TOO_MUCH = 6 * 10**9
"""More than the token may pay."""


async def free_of(place: Place, address: str) -> int:
    async def known(_: bytes) -> None:
        """Whatever chain it is."""

    chain = NodeChain([place.chain_url], check_genesis=known, clock=SystemClock(), entropy=SystemEntropy())
    try:
        heads = await chain.heads()
        (account,) = await chain.read(
            [Item("System", "Account", (decode_address(address),))], heads.best.hash
        )
    finally:
        await chain.close()
    return int(account["data"]["free"])


@dataclass
class Watch:
    """What the clients do, and what Bob should have by then."""

    place: Place
    clients: Standing
    paid: int = 0
    before: int = 0

    async def allowed(self, *, why: str) -> None:
        """Both clients pay; both payments are in a block then, each once."""
        for client in CLIENTS:
            self.paid += MILLI
            answer = await self.clients.ask(client, "transfer", amount=MILLI)
            assert answer["success"] is True, f"{client} after {why}: {answer['message']}"
        assert await free_of(self.place, BOB) - self.before == self.paid, why

    async def lost(self, client: str) -> None:
        """A payment whose answer may be lost: it arrives once, or not at all."""
        before = await free_of(self.place, BOB)
        answer = await self.clients.ask(client, "transfer", amount=MILLI)
        await asyncio.to_thread(self.place.command, "/_chain", blocks=1)
        arrived = await free_of(self.place, BOB) - before
        assert arrived in ({MILLI} if answer["success"] else {0, MILLI}), (client, answer)
        self.paid += arrived

    async def refused(self, client: str, **more: Any) -> str:
        answer = await self.clients.ask(client, "transfer", **more)
        assert answer["success"] is False, answer
        return str(answer["message"])


@pytest.fixture(params=SDKS, ids=lambda pair: f"sdk-{pair[0]}")
async def watch(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Watch]:
    version, spec_version = request.param
    with ExitStack() as stack:
        place = Place(folder=tmp_path, spec_version=spec_version, stack=stack)
        await asyncio.to_thread(place.start_chain)
        await asyncio.to_thread(place.settle)
        await asyncio.to_thread(place.start_service)
        async with standing(version, place) as clients:
            made = Watch(place=place, clients=clients, before=await free_of(place, BOB))
            await made.allowed(why="the start")
            yield made


async def test_a_refusal_stops_no_later_call(watch: Watch) -> None:
    for client in CLIENTS:
        assert "HTTP 403" in await watch.refused(client, amount=TOO_MUCH)
    await watch.allowed(why="a payment that the token does not allow")
    for client in CLIENTS:
        for _ in range(3):
            await watch.refused(client, amount=TOO_MUCH)
    await watch.allowed(why="three such payments")


async def test_a_fee_is_estimated_as_for_a_key_of_ones_own(watch: Watch) -> None:
    for client in CLIENTS:
        answer = await watch.clients.ask(client, "fee", amount=MILLI)
        assert answer["success"] is True, answer
        remote, local = answer["fees"]
        assert remote == local > 0
    await watch.allowed(why="estimates")


async def refused_by_the_chain(watch: Watch, client: str) -> None:
    """In a block, and failed: too little for an account that is not there."""
    await watch.refused(client, amount=1, dest=encode_address(SystemEntropy().token(32)))


async def refused_by_the_pool(watch: Watch, client: str) -> None:
    refusal = {"method": "author_submitAndWatchExtrinsic", "code": 1010, "message": "no", "count": 1}
    await asyncio.to_thread(watch.place.command, "/_fault", refusal=refusal)
    await watch.refused(client, amount=MILLI)


async def service_away(watch: Watch, client: str) -> None:
    watch.place.service.kill()
    await watch.refused(client, amount=MILLI)
    await asyncio.to_thread(watch.place.start_service)


async def chain_restarted(watch: Watch, client: str) -> None:  # noqa: ARG001 - under both
    watch.place.chain.kill()
    await asyncio.to_thread(watch.place.start_chain)


async def connections_dropped(watch: Watch, client: str) -> None:  # noqa: ARG001 - of both
    await asyncio.to_thread(watch.place.command, "/_fault", drop_connections=True)


async def submission_lost(watch: Watch, client: str) -> None:
    await asyncio.to_thread(watch.place.command, "/_fault", drop_submission=1)
    await watch.lost(client)


async def reply_lost(watch: Watch, client: str) -> None:
    await asyncio.to_thread(watch.place.command, "/_fault", drop_reply=1)
    await watch.lost(client)


async def upgraded(watch: Watch, client: str) -> None:
    number = watch.place.spec_version + 1000 + CLIENTS.index(client)
    await asyncio.to_thread(watch.place.command, "/_chain", upgrade=number)


async def paid_by_another(watch: Watch, client: str) -> None:
    """The account's nonce goes on without either client."""
    await asyncio.to_thread(watch.place.pay, MILLI, f"another-{client}")
    watch.paid += MILLI


TROUBLES = (
    refused_by_the_chain,
    refused_by_the_pool,
    paid_by_another,
    service_away,
    connections_dropped,
    submission_lost,
    reply_lost,
    chain_restarted,
    upgraded,
)


async def test_an_allowed_call_works_after_any_trouble(watch: Watch) -> None:
    for trouble in TROUBLES:
        for client in CLIENTS:
            await trouble(watch, client)
            await watch.allowed(why=f"{trouble.__name__} of {client}")


async def test_calls_at_once_go_through_though_one_of_them_is_refused(watch: Watch) -> None:
    amounts = [MILLI, TOO_MUCH, 2 * MILLI, TOO_MUCH, 4 * MILLI]
    answers = await watch.clients.together(*({"act": "transfer", "amount": amount} for amount in amounts))
    expected = [amount < TOO_MUCH for amount in amounts]
    assert [answer["success"] for answer in answers] == expected, answers
    watch.paid += 7 * MILLI
    await watch.allowed(why="calls at once")


@pytest.mark.parametrize("watch", SDKS[1:], ids=lambda pair: f"sdk-{pair[0]}", indirect=True)
async def test_weights_are_set_after_such_that_were_refused(watch: Watch) -> None:
    """SDK 9.8.3 repeats refused weights without end by itself, whoever signs them. The SDKs themselves want a block between two settings, even where the subnet has no limit."""
    for client in CLIENTS:
        refused = await watch.clients.ask(client, "set_weights", weights=[1, 2, 3, 4, 5, 6])
        assert refused["success"] is False, refused
        await asyncio.to_thread(watch.place.command, "/_chain", blocks=3, empty=True)
        answer = await watch.clients.ask(client, "set_weights", weights=[0.25, 0.5])
        assert answer["success"] is True, answer
        await asyncio.to_thread(watch.place.command, "/_chain", blocks=3, empty=True)
