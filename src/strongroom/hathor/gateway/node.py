"""The full node's HTTP API, for what the service passes on: time limits, a limit of size, a circuit breaker."""

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from strongroom.core.clock import Clock
from strongroom.core.errors import StrongroomError
from strongroom.core.http.outbound.client import ExcessiveAnswer, HttpClient, OutboundError
from strongroom.core.json_decoder import decode_json
from strongroom.core.runtime.breaker import Breaker, BreakerState
from strongroom.core.runtime.telemetry import ComponentHealth, Metrics, Status
from strongroom.hathor.gateway import InvalidNodeResponse, NodeFailed, NodeRefused, NodeUnavailable

TIMEOUT_S = 10.0
PROBE_TIMEOUT_S = 2.0
MAX_REASON = 500
AWAY = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Statuses of a proxy in front of a node, or of a node that wants fewer requests."""

Query = Mapping[str, str | Sequence[str]]


class BestBlock(msgspec.Struct, frozen=True):
    height: int


class Dag(msgspec.Struct, frozen=True):
    best_block: BestBlock


class NodeStatus(msgspec.Struct, frozen=True):
    """What this service reads of the answer to `status`."""

    dag: Dag


class NodeMetrics:
    def __init__(self, metrics: Metrics) -> None:
        self.requests = metrics.histogram(
            "strongroom_hathor_node_requests_seconds",
            "Duration of requests to the full node.",
            ("path", "outcome"),
        )
        self.open = metrics.gauge(
            "strongroom_hathor_node_breaker_open", "1 while the full node is not asked."
        )


class HttpNode:
    """A node at `url`, the base of its API, for example `https://host/v1a/`."""

    def __init__(self, url: str, clock: Clock, metrics: Metrics, *, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url.rstrip("/") + "/"
        self._clock = clock
        self._timeout_s = timeout_s
        self._metrics = NodeMetrics(metrics)
        self._client = HttpClient({"Accept": "application/json"})
        self.breaker = Breaker(clock, "The node")
        self._metrics.open.set_function(lambda: float(self.breaker.state is not BreakerState.CLOSED))

    def health(self) -> ComponentHealth:
        state = self.breaker.state
        if state is BreakerState.CLOSED:
            return ComponentHealth(status=Status.UP)
        return ComponentHealth(status=Status.DEGRADED, detail=f"it does not answer; the breaker is {state}")

    async def check(self) -> None:
        """Asks what every node answers. Raises whatever keeps it from answering."""
        await self.get("version", timeout_s=PROBE_TIMEOUT_S)

    async def heights(self) -> dict[str, int]:
        """As `check`, and the height of the node's best block, where it tells. Raises: as `check`."""
        await self.check()
        try:
            status = decode_json(await self.get("status", timeout_s=PROBE_TIMEOUT_S), NodeStatus)
        except (StrongroomError, msgspec.MsgspecError):
            return {}
        return {"best": status.dag.best_block.height}

    async def get(self, path: str, query: Query | None = None, *, timeout_s: float = math.inf) -> bytes:
        """The body of an answer: JSON, of whatever content. `timeout_s` can only shorten the limit.

        Raises:
            NodeUnavailable: no answer, or none of a node; while the breaker is open at once.
            NodeFailed: the node met an error of its own.
            NodeRefused: the node does not take the request.
        """
        return await self._checked(path, query or {}, timeout_s, is_json=True)

    async def get_text(self, path: str, query: Query) -> bytes:
        """The same for an answer that need not be JSON."""
        return await self._checked(path, query, math.inf, is_json=False)

    async def close(self) -> None:
        await self._client.close()

    async def _checked(self, path: str, query: Query, timeout_s: float, *, is_json: bool) -> bytes:
        if self.breaker.is_due:  # a question that every node answers: no odd request decides for all
            with self.breaker.call():
                await self._measured("version", {}, PROBE_TIMEOUT_S, is_json=True)
        with self.breaker.call():
            return await self._measured(path, query, timeout_s, is_json=is_json)

    async def _measured(self, path: str, query: Query, timeout_s: float, *, is_json: bool) -> bytes:
        started_s, outcome = self._clock.monotonic_s(), "answered"
        try:
            return await self._fetch(path, query, timeout_s, is_json=is_json)
        except BaseException as error:
            outcome = type(error).__name__
            raise
        finally:
            self._metrics.requests.labels(path, outcome).observe(self._clock.monotonic_s() - started_s)

    async def _fetch(self, path: str, query: Query, timeout_s: float, *, is_json: bool) -> bytes:
        limit_s = min(timeout_s, self._timeout_s)
        try:
            answer = await self._client.ask("GET", self._url + path, params=dict(query), timeout_s=limit_s)
        except ExcessiveAnswer as error:
            raise InvalidNodeResponse(f"The node does not answer as a node does: {error}") from error
        except OutboundError as error:
            raise NodeUnavailable(f"The node does not answer ({error})") from error
        _check_status(path, answer.status, answer.content)
        if is_json:
            _check_json(path, answer.content)
        return answer.content


def _check_status(path: str, status: int, body: bytes) -> None:
    if status == HTTPStatus.OK:
        return
    if status in AWAY:
        raise NodeUnavailable(f"The node answers {status} to {path}")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise NodeFailed(f"The node answers {status} to {path}")
    if status < HTTPStatus.BAD_REQUEST:
        raise InvalidNodeResponse(f"The node answers {status} to {path}")
    reason = _reason(body)
    if reason is None:
        raise NodeFailed(f"The node answers {status} to {path}")
    raise NodeRefused(reason, status=status)


def _check_json(path: str, body: bytes) -> None:
    try:
        decode_json(body)
    except msgspec.DecodeError as error:
        raise InvalidNodeResponse(f"The node's answer to {path} is not JSON") from error


def _reason(body: bytes) -> str | None:
    """What the node gives as its reason, under one of two names; None: these are not the words of a node."""
    try:
        said: Any = decode_json(body)
    except msgspec.DecodeError:
        return None
    reason = (said.get("error") or said.get("message")) if isinstance(said, dict) else None
    return reason[:MAX_REASON] if isinstance(reason, str) else "The node does not take the request"
