"""The work server."""

from http import HTTPStatus
from typing import Final

import msgspec
from litestar import Controller, Litestar, Response, post
from litestar.di import NamedDependency

from strongroom.atto.gateway import WorkSource, WorkUnavailable
from strongroom.atto.protocol import InvalidBlock, Network, threshold
from strongroom.atto.protocol.wire.scalars import Record, WireInteger, decode, from_hex, to_hex, to_int
from strongroom.core.clock import Clock
from strongroom_sandbox.atto.api.requests import read_body
from strongroom_sandbox.atto.api.responses import json_response
from strongroom_sandbox.atto.faults.breakable import Breakage, breakable_app
from strongroom_sandbox.atto.faults.faults import Faults, Lie
from strongroom_sandbox.atto.problems import AnyRequest, Problem

_AHEAD_MS: Final = 60_000
_TARGET_SIZE: Final = 32


class _WorkRequest(Record, frozen=True):
    network: str
    timestamp: WireInteger
    target: str


_work_request: Final = msgspec.json.Decoder(_WorkRequest)


def _parse(data: bytes) -> tuple[Network, int, bytes]:
    """Network, timestamp in milliseconds, target; raises ProtocolError for what no work is defined for."""
    body = decode(_work_request, data)
    network, timestamp_ms, target = Network.parse(body.network), to_int(body.timestamp), from_hex(body.target)
    if len(target) != _TARGET_SIZE:
        raise InvalidBlock(f"A target has {_TARGET_SIZE} bytes")
    threshold(network, timestamp_ms)
    return network, timestamp_ms, target


class WorkServer:
    """Finds work with `source`, any number of requests at a time."""

    def __init__(self, source: WorkSource, clock: Clock) -> None:
        self.clock = clock
        self.faults = Faults()
        self._source = source

    async def work(self, network: Network, timestamp_ms: int, target: bytes) -> bytes | None:
        """8 bytes, None for a timestamp of the future; raises Problem when none is found."""
        if timestamp_ms > self.clock.now_ms() + _AHEAD_MS:
            return None
        try:
            work = await self._source.work(network, timestamp_ms, target)
        except WorkUnavailable as error:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, error.message) from None
        return bytes(len(work)) if self.faults.lie is Lie.WORK else work


class _WorkRoutes(Controller):
    @post("/works", status_code=200)
    async def work(self, request: AnyRequest, server: NamedDependency[WorkServer]) -> Response[bytes]:
        work = await server.work(*await read_body(request, _parse))
        if work is None:
            return Response(content=b"", status_code=400, media_type="application/json")
        return json_response(msgspec.json.encode({"work": to_hex(work)}))


def create_work_app(server: WorkServer) -> Litestar:
    """`POST /works` and `/_fault`."""

    async def restart() -> None:
        """Has nothing to lose but its connections."""

    return breakable_app(
        [_WorkRoutes],
        {"server": server},
        server.clock,
        Breakage(faults=server.faults, effect_path="/works", cut_streams=lambda: None, restart=restart),
    )
