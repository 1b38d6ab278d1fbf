"""An application that can be broken on purpose: `POST`, `GET` and `DELETE /_fault`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import msgspec
from litestar import Controller, Litestar, Response, delete, get, post
from litestar.background_tasks import BackgroundTask
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler

from strongroom.core.clock import Clock
from strongroom_sandbox.atto.faults.faults import FaultRequest, Faults
from strongroom_sandbox.atto.faults.gate import FaultGate
from strongroom_sandbox.atto.problems import AnyRequest, Problem, Problems

_fault_request: Final = msgspec.json.Decoder(FaultRequest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakage:
    """What `/_fault` acts on."""

    faults: Faults
    effect_path: str
    """Prefix of the requests that change something, for `drop_reply` and `drop_request`."""
    cut_streams: Callable[[], None]
    restart: Callable[[], Awaitable[None]]
    """Loses what a killed process loses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Breaker:
    breakage: Breakage
    gate: FaultGate

    async def restart(self, down_ms: int) -> None:
        self.gate.drop_connections(down_ms)
        await self.breakage.restart()


_BreakerDependency = NamedDependency[_Breaker]


class _FaultRoutes(Controller):
    path = "/_fault"

    @post("/", status_code=200)
    async def set_faults(self, request: AnyRequest, breaker: _BreakerDependency) -> Response[bytes]:
        try:
            wanted = _fault_request.decode(await request.body())
        except msgspec.MsgspecError as error:
            raise Problem(HTTPStatus.BAD_REQUEST, str(error)) from None
        breaker.breakage.faults.set(wanted)
        if wanted.drop_streams:
            breaker.breakage.cut_streams()
        response = _show(breaker)
        if wanted.restart:
            # After the answer, whose connection is dropped with all others.
            response.background = BackgroundTask(breaker.restart, wanted.down_ms)
        return response

    @get("/")
    async def faults(self, breaker: _BreakerDependency) -> Response[bytes]:
        return _show(breaker)

    @delete("/", status_code=200)
    async def clear_faults(self, breaker: _BreakerDependency) -> Response[bytes]:
        breaker.breakage.faults.clear()
        return _show(breaker)


def _show(breaker: _Breaker) -> Response[bytes]:
    return Response(content=msgspec.json.encode(breaker.breakage.faults), media_type="application/json")


def breakable_app(
    handlers: Sequence[ControllerRouterHandler],
    dependencies: Mapping[str, object],
    clock: Clock,
    breakage: Breakage,
) -> Litestar:
    """An application with these routes, whose faults are in front of everything else."""
    problems = Problems(clock)
    gate = FaultGate(faults=breakage.faults, problems=problems, clock=clock, effect_path=breakage.effect_path)
    available = {**dependencies, "breaker": _Breaker(breakage=breakage, gate=gate)}
    application = Litestar(
        route_handlers=[*handlers, _FaultRoutes],
        dependencies={name: _constant(value) for name, value in available.items()},
        exception_handlers={
            Problem: problems.on_problem,
            HTTPException: problems.on_http_exception,
            Exception: problems.on_error,
        },
        openapi_config=None,
        logging_config=None,
    )
    application.asgi_handler = gate.in_front_of(application.asgi_handler)
    return application


def _constant(value: object) -> Provide:
    return Provide(lambda: value, sync_to_thread=False, use_cache=True)
