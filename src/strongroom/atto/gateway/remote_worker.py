"""Proof of work from a work server, and the choice between it and this machine."""

import httpx2
import msgspec
import structlog

from strongroom.atto.gateway import WorkSource, WorkUnavailable
from strongroom.atto.protocol import Network, ProtocolError, verify_work

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT_S = 5.0


class _Found(msgspec.Struct):
    work: str


class RemoteWorker:
    """`POST /works` of a work server. Its answer is verified: a wrong one is as good as none."""

    def __init__(self, base_url: str, timeout_s: float) -> None:
        self._client = httpx2.AsyncClient(
            base_url=base_url,
            timeout=httpx2.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            limits=httpx2.Limits(max_connections=256, max_keepalive_connections=64),
            trust_env=False,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def work(self, network: Network, timestamp_ms: int, target: bytes) -> bytes:
        request = {"network": network.name, "timestamp": timestamp_ms, "target": target.hex().upper()}
        try:
            response = await self._client.post("/works", json=request)
            response.raise_for_status()
            work = bytes.fromhex(msgspec.json.decode(response.content, type=_Found).work)
            verify_work(network, timestamp_ms, target, work)
        except (httpx2.HTTPError, msgspec.MsgspecError, ProtocolError, ValueError) as error:
            raise WorkUnavailable(f"The work server gave no valid work ({type(error).__name__})") from error
        return work


class FallbackWorker:
    """Asks `first`; when it fails, `second`."""

    def __init__(self, first: WorkSource, second: WorkSource) -> None:
        self._first = first
        self._second = second

    async def work(self, network: Network, timestamp_ms: int, target: bytes) -> bytes:
        try:
            return await self._first.work(network, timestamp_ms, target)
        except WorkUnavailable as error:
            log.warning("searching for work on this machine", why=error.message)
            return await self._second.work(network, timestamp_ms, target)
