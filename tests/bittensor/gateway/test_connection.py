"""What the connection to the chain takes from a node."""

import pytest

from strongroom.bittensor.gateway import ChainUnavailable
from strongroom.bittensor.gateway.connection import Call, Connection
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
