"""For whoever runs the service: Prometheus metrics, and the health of what it stands on."""

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency

from strongroom.core.clock import Clock, iso_instant
from strongroom.core.environment import Secret
from strongroom.core.errors import StrongroomError
from strongroom.core.json_decoder import decode_json
from strongroom.core.storage.database import Database
from strongroom.hathor.api.refusal import GatewayRefusal
from strongroom.hathor.api.requests import Request
from strongroom.hathor.api.terms import PUBLIC, Access, Terms
from strongroom.hathor.gateway import InvalidNodeResponse
from strongroom.hathor.gateway.node import HttpNode, NodeStatus
from strongroom.hathor.index.blocks import read_best_height

DESCRIPTION = "Health status of hathor-wallet-service"
METRIC = "wallet_service:best_block_height"
METRICS = (
    f"# HELP {METRIC} The height of the latest block received\n# TYPE {METRIC} gauge\n"
    f'{METRIC}{{{{network="{{network}}",environment="{{stage}}"}}}} {{height}}\n'
)
T = TypeVar("T")
CheckStatus = Literal["pass", "warn", "fail"]
ComponentType = Literal["internal", "datastore", "http"]
PASS: Final = "pass"  # noqa: S105 - a status
WARN: Final = "warn"
FAIL: Final = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRules:
    network: str
    stage: str
    health_key: Secret | None
    """None: the route `health` is closed."""
    max_blocks_behind: int


class _NodeHealth(msgspec.Struct, frozen=True):
    status: str


@dataclass(frozen=True, slots=True)
class _Found:
    status: CheckStatus
    output: str


class HealthCheck(msgspec.Struct, kw_only=True, rename="camel"):
    component_name: str
    component_type: ComponentType
    status: CheckStatus
    output: str
    time: str
    affects_service_health: bool


class HealthAnswer(msgspec.Struct, kw_only=True, rename="camel"):
    status: CheckStatus
    description: str
    checks: dict[str, list[HealthCheck]]
    http_status_code: Literal[200, 503]


class Operations:
    """What the routes are answered with."""

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

    async def metrics(self) -> str:
        height = await read_best_height(self._database)
        return METRICS.format(network=self._rules.network, stage=self._rules.stage, height=height)

    async def health(self, key: str) -> HealthAnswer:
        """Raises: GatewayRefusal: it is not the key."""
        self._check_key(key)
        height, node = await asyncio.gather(self._check_height(), self._check_node())
        checks = {
            "mysql:block_height": [self._check("mysql:block_height", "internal", height)],
            "fullnode:health": [self._check("fullnode:health", "http", node)],
        }
        if self._redis_answers is not None:
            checks["redis:connection"] = [
                self._check("redis:connection", "datastore", _redis_status(answers=self._redis_answers()))
            ]
        found = {check.status for part in checks.values() for check in part}
        status: CheckStatus = FAIL if FAIL in found else WARN if WARN in found else PASS
        return HealthAnswer(
            status=status,
            description=DESCRIPTION,
            checks=checks,
            http_status_code=503 if status == FAIL else 200,
        )

    def _check_key(self, given: str) -> None:
        key = self._rules.health_key
        if key is None or not hmac.compare_digest(key.reveal().encode(), given.encode()):
            raise GatewayRefusal(403, None, message="Forbidden")

    async def _check_height(self) -> _Found:
        most = self._rules.max_blocks_behind
        try:
            ours = await read_best_height(self._database)
            theirs = _decode(await self._node.get("status"), NodeStatus).dag.best_block.height
        except StrongroomError as error:
            return _Found(FAIL, f"Error checking database and fullnode height: {error.message}")
        if theirs - ours < most:
            return _Found(PASS, f"Database and fullnode heights are within {most} blocks difference")
        return _Found(FAIL, f"Database height is {ours} but fullnode height is {theirs}")

    async def _check_node(self) -> _Found:
        try:
            health = _decode(await self._node.get("health"), _NodeHealth)
        except StrongroomError as error:
            return _Found(FAIL, f"Error checking fullnode health: {error.message}")
        if health.status == PASS:
            return _Found(PASS, "Fullnode is healthy")
        if health.status == WARN:
            return _Found(WARN, "Fullnode has health warnings")
        return _Found(FAIL, f"Fullnode is unhealthy: {health.status}")

    def _check(self, name: str, kind: ComponentType, found: _Found) -> HealthCheck:
        return HealthCheck(
            component_name=name,
            component_type=kind,
            status=found.status,
            output=found.output,
            time=iso_instant(self._clock.now_ms()),
            affects_service_health=True,
        )


class OperationController(Controller):
    tags = ("Operation",)

    @get("/metrics", summary="The best block's height, for Prometheus", media_type="text/plain", opt=PUBLIC)
    async def metrics(self, operations: NamedDependency[Operations]) -> Response[str]:
        return Response(await operations.metrics(), media_type="text/plain; version=0.0.4")

    @get("/health", summary="Whether the service follows its node", opt=Terms(access=Access.KEY).opt)
    async def health(
        self, request: Request, operations: NamedDependency[Operations]
    ) -> Response[HealthAnswer]:
        """503 when a part fails; the original's key `redis:connection` is absent where no Redis is used."""
        found = await operations.health(request.headers.get("x-api-key", ""))
        return Response(found, status_code=found.http_status_code)


def _redis_status(*, answers: bool) -> _Found:
    """Nothing that matters goes over it: while it is away, processes look for news at intervals."""
    return _Found(PASS, "Redis connection is up") if answers else _Found(WARN, "Redis does not answer")


def _decode(body: bytes, kind: type[T]) -> T:
    try:
        return decode_json(body, kind)
    except msgspec.DecodeError as error:
        raise InvalidNodeResponse("the node's answer is not understood") from error
