"""What the connection to the chain takes from a node."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from strongroom.bittensor.gateway import ChainUnavailable, InvalidNodeResponse, SubmissionUnknown
from strongroom.bittensor.gateway.connection import Call, Connection, RpcError
from strongroom.bittensor.gateway.node import NodeChain
from support.clock import ManualClock, SeededEntropy
from support.hostile_peer import hostile_peer


async def greet(_call: Call) -> None:
    """Any node is the right one."""


async def test_no_redirect_is_followed() -> None:
    async with hostile_peer(lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]) as elsewhere:
        location = elsewhere.url.replace("http", "ws").encode()
        head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %s\r\n\r\n" % location
        async with hostile_peer(lambda: [head]) as peer:
            endpoint = peer.url.replace("http", "ws")
            connection = Connection([endpoint], greet, clock=ManualClock(), entropy=SeededEntropy(1))
            with pytest.raises(ChainUnavailable):
                await connection.call("system_chain")
            await connection.close()
        assert peer.requests != []
        assert elsewhere.requests == []


@asynccontextmanager
async def node(**answers: dict[str, Any]) -> AsyncIterator[str]:
    """A node that answers these methods so, and every other one with null; its endpoint."""

    async def answer(socket: ServerConnection) -> None:
        async for text in socket:
            request = json.loads(text)
            said = answers.get(request["method"], {"result": None})
            await socket.send(json.dumps({"jsonrpc": "2.0", "id": request["id"], **said}))

    async with serve(answer, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


ODD_CODES: list[object] = [None, "abc", [], 1e300, {"code": 1}, True]


@pytest.mark.parametrize("code", ODD_CODES)
async def test_an_error_with_an_odd_code_is_an_error_of_the_node(code: object) -> None:
    async with node(system_chain={"error": {"code": code, "message": "no"}}) as endpoint:
        connection = Connection([endpoint], greet, clock=ManualClock(), entropy=SeededEntropy(1))
        with pytest.raises(RpcError) as refused:
            await connection.call("system_chain")
        assert (refused.value.rpc_code, refused.value.rpc_message) == (0, "no")
        await connection.close()


async def test_a_submission_that_is_answered_with_an_odd_error_stays_open() -> None:
    async def any_genesis(_genesis: bytes) -> None:
        pass

    genesis = {"result": f"0x{bytes(32).hex()}"}
    odd = {"error": {"code": "1010", "message": "Invalid Transaction"}}
    async with node(chain_getBlockHash=genesis, author_submitExtrinsic=odd) as endpoint:
        chain = NodeChain(
            [endpoint], check_genesis=any_genesis, clock=ManualClock(), entropy=SeededEntropy(1)
        )
        with pytest.raises(SubmissionUnknown):
            await chain.submit(b"signed")
        await chain.close()


@pytest.mark.parametrize("metadata", ["0x01", "0x0103", "0x01030000", "0x010203"])
async def test_metadata_that_ends_too_early_is_none(metadata: str) -> None:
    async def any_genesis(_genesis: bytes) -> None:
        pass

    block = {"result": f"0x{bytes(32).hex()}"}
    version = {"result": {"specVersion": 1, "transactionVersion": 1}}
    answers: dict[str, dict[str, Any]] = {"chain_getBlockHash": block, "state_getRuntimeVersion": version}
    async with node(**answers, state_call={"result": metadata}) as endpoint:
        chain = NodeChain(
            [endpoint], check_genesis=any_genesis, clock=ManualClock(), entropy=SeededEntropy(1)
        )
        with pytest.raises(InvalidNodeResponse):
            await chain.runtime()
        await chain.close()
