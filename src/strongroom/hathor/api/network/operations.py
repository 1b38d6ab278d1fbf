"""Routes for whoever runs the service: Prometheus metrics, and the health of what it stands on."""

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from litestar import Response

from strongroom.core.clock import Clock, iso_instant
from strongroom.core.environment import Secret
from strongroom.core.errors import StrongroomError
from strongroom.core.json_decoder import decode_json
from strongroom.core.storage.database import Database
from strongroom.hathor.api.refusal import GatewayRefusal
from strongroom.hathor.api.requests import Request, written
from strongroom.hathor.gateway import InvalidNodeResponse
from strongroom.hathor.gateway.node import HttpNode
from strongroom.hathor.index.blocks import read_best_height

DESCRIPTION = "Health status of hathor-wallet-service"
METRIC = "wallet_service:best_block_height"
METRICS = (
    f"# HELP {METRIC} The height of the latest block received\n# TYPE {METRIC} gauge\n"
    f'{METRIC}{{{{network="{{network}}",environment="{{stage}}"}}}} {{height}}\n'
)
T = TypeVar("T")
PASS = "pass"  # noqa: S105 - a verdict
WARN = "warn"
FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRules:
    network: str
    stage: str
    health_key: Secret | None
    """None: the route `health` is closed."""
    max_blocks_behind: int


class _BestBlock(msgspec.Struct, frozen=True):
    height: int


class _Dag(msgspec.Struct, frozen=True):
    best_block: _BestBlock


class _NodeStatus(msgspec.Struct, frozen=True):
    dag: _Dag


class _NodeHealth(msgspec.Struct, frozen=True):
    status: str


@dataclass(frozen=True, slots=True)
class _Verdict:
    status: str
    output: str


class OperationRoutes:
    def __init__(
        self,
        database: Database,
        node: HttpNode,
        clock: Clock,
        rules: OperationRules,
        redis_answers: Callable[[], bool] | None = None,
    ) -> None:
        """`redis_answers`: None where the service uses no Redis."""
        self._database = database
        self._node = node
        self._clock = clock
        self._rules = rules
        self._redis_answers = redis_answers

    async def metrics(self, _request: Request) -> Response[bytes]:
        height = await read_best_height(self._database)
        text = METRICS.format(network=self._rules.network, stage=self._rules.stage, height=height)
        return Response(text.encode(), media_type="text/plain; version=0.0.4")

    async def health(self, request: Request) -> Response[bytes]:
        """503 when a part fails; the original's key `redis:connection` is absent where no Redis is used."""
        self._check_key(request.headers.get("x-api-key", ""))
        height, node = await asyncio.gather(self._check_height(), self._check_node())
        checks = {
            "mysql:block_height": [self._check("mysql:block_height", "internal", height)],
            "fullnode:health": [self._check("fullnode:health", "http", node)],
        }
        if self._redis_answers is not None:
            checks["redis:connection"] = [
                self._check("redis:connection", "datastore", _redis_verdict(answers=self._redis_answers()))
            ]
        found = {check["status"] for part in checks.values() for check in part}
        status = next((each for each in (FAIL, WARN) if each in found), PASS)
        code = 503 if status == FAIL else 200
        body = {"status": status, "description": DESCRIPTION, "checks": checks, "httpStatusCode": code}
        return written(body, code)

    def _check_key(self, given: str) -> None:
        key = self._rules.health_key
        if key is None or not hmac.compare_digest(key.reveal().encode(), given.encode()):
            raise GatewayRefusal(403, None, message="Forbidden")

    async def _check_height(self) -> _Verdict:
        most = self._rules.max_blocks_behind
        try:
            ours = await read_best_height(self._database)
            theirs = _decode(await self._node.get("status"), _NodeStatus).dag.best_block.height
        except StrongroomError as error:
            return _Verdict(FAIL, f"Error checking database and fullnode height: {error.message}")
        if theirs - ours < most:
            return _Verdict(PASS, f"Database and fullnode heights are within {most} blocks difference")
        return _Verdict(FAIL, f"Database height is {ours} but fullnode height is {theirs}")

    async def _check_node(self) -> _Verdict:
        try:
            health = _decode(await self._node.get("health"), _NodeHealth)
        except StrongroomError as error:
            return _Verdict(FAIL, f"Error checking fullnode health: {error.message}")
        if health.status == PASS:
            return _Verdict(PASS, "Fullnode is healthy")
        if health.status == WARN:
            return _Verdict(WARN, "Fullnode has health warnings")
        return _Verdict(FAIL, f"Fullnode is unhealthy: {health.status}")

    def _check(self, name: str, kind: str, verdict: _Verdict) -> dict[str, Any]:
        return {
            "componentName": name,
            "componentType": kind,
            "status": verdict.status,
            "output": verdict.output,
            "time": iso_instant(self._clock.now_ms()),
            "affectsServiceHealth": True,
        }


def _redis_verdict(*, answers: bool) -> _Verdict:
    """Nothing that matters goes over it: while it is away, processes look for news at intervals."""
    return _Verdict(PASS, "Redis connection is up") if answers else _Verdict(WARN, "Redis does not answer")


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return decode_json(body, kind)
    except msgspec.DecodeError as error:
        raise InvalidNodeResponse("the node's answer is not understood") from error
