"""Gets proof of work from a work server."""

from http import HTTPStatus

import msgspec

from strongroom.atto.gateway import WorkUnavailable
from strongroom.atto.protocol import Network, ProtocolError, verify_work
from strongroom.core.http.outbound.client import HttpClient, OutboundError
from strongroom.core.json_decoder import decode_json

MAX_ANSWER_BYTES = 4096


class _Found(msgspec.Struct):
    work: str


class RemoteWorker:
    """Asks `POST /works` of a work server and verifies the answer; a wrong one counts as a failure."""

    def __init__(self, base_url: str, timeout_s: float) -> None:
        self._url = base_url + "/works"
        self._timeout_s = timeout_s
        self._client = HttpClient({"Content-Type": "application/json", "Accept": "application/json"})

    async def close(self) -> None:
        await self._client.close()

    async def work(self, network: Network, timestamp_ms: int, target: bytes) -> bytes:
        request = {"network": network.name, "timestamp": timestamp_ms, "target": target.hex().upper()}
        try:
            answer = await self._client.ask(
                "POST",
                self._url,
                data=msgspec.json.encode(request),
                timeout_s=self._timeout_s,
                max_bytes=MAX_ANSWER_BYTES,
            )
        except OutboundError as error:
            raise WorkUnavailable(f"The work server does not answer ({error})") from error
        if answer.status != HTTPStatus.OK:
            raise WorkUnavailable(f"The work server answered with status {answer.status}")
        try:
            work = bytes.fromhex(decode_json(answer.content, _Found).work)
            verify_work(network, timestamp_ms, target, work)
        except (msgspec.MsgspecError, ProtocolError, ValueError) as error:
            raise WorkUnavailable(f"The work server gave no valid work ({type(error).__name__})") from error
        return work
