"""Proof of work from a work server, and the choice between it and this machine."""

import aiohttp
import msgspec
import structlog

from strongroom.atto.gateway import WorkSource, WorkUnavailable
from strongroom.atto.protocol import Network, ProtocolError, verify_work
from strongroom.core.outbound import CONNECT_TIMEOUT_S, open_session

log = structlog.get_logger(__name__)


class _Found(msgspec.Struct):
    work: str


class RemoteWorker:
    """`POST /works` of a work server. Its answer is verified: a wrong one is as good as none."""

    def __init__(self, base_url: str, timeout_s: float) -> None:
        self._url = base_url + "/works"
        self._limit = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)
        self._session = open_session({"Content-Type": "application/json", "Accept": "application/json"})

    async def close(self) -> None:
        await self._session.close()

    async def work(self, network: Network, timestamp_ms: int, target: bytes) -> bytes:
        request = {"network": network.name, "timestamp": timestamp_ms, "target": target.hex().upper()}
        try:
            async with self._session.post(
                self._url, data=msgspec.json.encode(request), timeout=self._limit
            ) as response:
                response.raise_for_status()
                work = bytes.fromhex(msgspec.json.decode(await response.read(), type=_Found).work)
            verify_work(network, timestamp_ms, target, work)
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError, ProtocolError, ValueError) as error:
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
