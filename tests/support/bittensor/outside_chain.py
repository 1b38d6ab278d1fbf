"""A chain that the tests did not make: any node with //Alice's funds, whatever runtime it runs.

`STRONGROOM_TEST_CHAIN` names it; without it a sandbox is started as a process of its own. Nothing here knows which it is.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from strongroom.bittensor.gateway import Event, Item
from strongroom.bittensor.gateway.node import NodeChain
from strongroom.bittensor.protocol.calls import Call
from strongroom.bittensor.protocol.eras import Era
from strongroom.bittensor.protocol.extrinsics import Unsigned, blake2_256
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.core.clock import SystemClock, SystemEntropy
from support.ports import free_port
from support.processes import strongroom

VARIABLE = "STRONGROOM_TEST_CHAIN"
ALICE = Keypair.from_uri("//Alice")
ERA_BLOCKS = 64
POLL_S = 0.1
PATIENCE_S = 240.0
"""Blocks may be 12 seconds apart, and final three later."""


@contextmanager
def chain_url(folder: Path) -> Iterator[str]:
    """Where the chain is: the one that is named, or a sandbox."""
    if url := os.environ.get(VARIABLE):
        yield url
        return
    port = free_port()
    variables = {
        "STRONGROOM_DATA": str(folder),
        "SANDBOX_BITTENSOR_PORT": str(port),
        "SANDBOX_BITTENSOR_BLOCK_MS": "250",
    }
    with strongroom("sandbox", "bittensor", environment=variables) as process:
        process.wait_ready()
        yield f"ws://127.0.0.1:{port}"


class OutsideChain:
    """//Alice, who has money, and who is root on local chains."""

    def __init__(self, chain: NodeChain) -> None:
        self.chain = chain

    async def read(self, pallet: str, item: str, *keys: int | bytes) -> Any:
        heads = await self.chain.heads()
        (value,) = await self.chain.read([Item(pallet, item, keys)], heads.best.hash)
        return value

    async def carry_out(self, call: Call) -> Sequence[Event]:
        """Has //Alice's call included; its events.

        Raises:
            AssertionError: it failed, or no block took it.
        """
        runtime, heads = await self.chain.runtime(), await self.chain.heads()
        era = Era.starting(heads.final.number, ERA_BLOCKS)
        unsigned = Unsigned(
            call=runtime.encode(call),
            era=era.encode(),
            nonce=await self.chain.next_nonce(ALICE.address),
            spec_version=runtime.spec_version,
            transaction_version=runtime.transaction_version,
            genesis_hash=runtime.genesis_hash,
            first_hash=heads.final.hash,
        )
        raw = unsigned.signed(ALICE.public_key, ALICE.sign(unsigned.payload))
        await self.chain.submit(raw)
        events = await self._events(blake2_256(raw), era)
        names = [f"{event.pallet}.{event.name}" for event in events]
        assert "System.ExtrinsicSuccess" in names, (call, events)
        return events

    async def as_root(self, function: str, **arguments: Any) -> None:
        """A call of AdminUtils, through Sudo."""
        inner = {"call_module": "AdminUtils", "call_function": function, "call_args": arguments}
        events = await self.carry_out(Call(pallet="Sudo", function="sudo", arguments={"call": inner}))
        (outcome,) = [event.content for event in events if event.name == "Sudid"]
        assert "Err" not in str(outcome), (function, outcome)

    async def _events(self, extrinsic: bytes, era: Era) -> list[Event]:
        number = era.first + 1
        async with asyncio.timeout(PATIENCE_S):
            while number <= era.last:
                block_hash = await self.chain.block_hash(number)
                if block_hash is None:
                    await asyncio.sleep(POLL_S)
                    continue
                block = await self.chain.block(block_hash)
                if extrinsic in block.extrinsics:
                    index = block.extrinsics.index(extrinsic)
                    return [event for event in await self.chain.events(block) if event.extrinsic == index]
                number += 1
        raise AssertionError("no block took the call")


@asynccontextmanager
async def outside_chain(url: str) -> AsyncIterator[OutsideChain]:
    async def any_genesis(_genesis: bytes) -> None:
        """Whichever local chain it is."""

    chain = NodeChain([url], check_genesis=any_genesis, clock=SystemClock(), entropy=SystemEntropy())
    try:
        yield OutsideChain(chain)
    finally:
        await chain.close()
