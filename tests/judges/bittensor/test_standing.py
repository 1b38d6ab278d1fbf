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
from strongroom.bittensor.protocol.ss58 import decode_address
from strongroom.core.clock import SystemClock, SystemEntropy
from support.bittensor.standing import BOB, Place, Standing, standing

# The first one waits for the installation, which is kept.
pytestmark = pytest.mark.timeout(900)

CLIENTS = ("sync", "async")
SDKS = [("9.8.3", 293), ("10.5.0", 424), ("11.1.0", 424)]
STRANGER = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
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
