"""JSON nested deeper than anybody means: refused in the surface's own words, whoever sends it."""

import asyncio
import json

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bittensor.conftest import Start
from strongroom.bittensor.client.transport import Transport
from strongroom.bittensor.gateway.connection import Connection
from strongroom.bittensor.protocol.errors import KeyFileError
from strongroom.bittensor.protocol.failures import pool_refusal
from strongroom.bittensor.protocol.keyfiles import read_key
from strongroom.core.clock import SystemClock
from support.bittensor_service import BittensorService, bearer
from support.clock import ManualClock, SeededEntropy
from support.hathor.canned_node import OTHERWISE, CannedNode
from support.nested import DEEP, NESTED, arrays, objects, token, within
from support.serving import serving
from support.waiting import PATIENCE_S

pytestmark = pytest.mark.anyio

SECRET = "a secret of thirty-two bytes or more"
JSON = {"Content-Type": "application/json"}


async def test_a_body_is_refused(service: BittensorService) -> None:
    for data in NESTED:
        for path in (
            "/wallet/sign",
            "/wallet/verify",
            "/wallet/set_weights",
            "/wallet/transfer",
            "/wallet/extrinsics/sign",
        ):
            answer = await service.client.post(path, content=data, headers=JSON)
            assert answer.status_code == 422, path
            assert answer.json()["code"] == "invalid_request"


async def test_a_token_is_refused(start: Start) -> None:
    async with start(ManualClock(), MANAGER_JWT_SECRET_KEY=SECRET) as service:
        for nested in (arrays(1400), objects(450), arrays(65), within("alg", 65), b"[" * 1500):
            for forged in (token(nested), token(b'{"alg":"HS256"}', nested)):
                assert len(forged) <= 4096
                answer = await service.client.get(
                    "/wallet/info", params={"wallet_name": "w"}, headers=bearer(forged)
                )
                assert (answer.status_code, answer.json()["error"]) == (401, "Invalid token")


def test_a_key_file_is_refused() -> None:
    for data in NESTED:
        with pytest.raises(KeyFileError):
            read_key(data)


def test_a_refusal_of_the_chain_is_one_without_a_reason() -> None:
    for data in NESTED:
        refusal = pool_refusal(1010, "Invalid Transaction", data.decode())
        assert refusal is not None
        assert refusal.failure.name == "Invalid"


async def test_a_client_takes_such_an_answer_for_an_empty_one() -> None:
    canned = CannedNode({})
    async with serving(canned) as url:
        for data in (arrays(), objects(), within("jobs"), b"[" * DEEP):
            canned.answers[OTHERWISE] = data
            answer = await asyncio.to_thread(Transport(url, "token").ask, "GET", "/", timeout_s=PATIENCE_S)
            assert (answer.status, answer.document) == (200, {})


async def test_a_chain_that_speaks_so_has_said_nothing(entropy: SeededEntropy) -> None:
    """The connection goes on: the answer that is meant for the call comes after it."""

    async def speak(socket: ServerConnection) -> None:
        async for request in socket:
            for data in NESTED:
                await socket.send(data.decode())
                await socket.send(data)
            number = json.loads(request)["id"]
            await socket.send(json.dumps({"jsonrpc": "2.0", "id": number, "result": "heard"}))

    async def greet(_call: object) -> None:
        pass

    async with serve(speak, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        connection = Connection([f"ws://127.0.0.1:{port}"], greet, clock=SystemClock(), entropy=entropy)
        try:
            assert await connection.call("system_chain", timeout_s=PATIENCE_S) == "heard"
        finally:
            await connection.close()
