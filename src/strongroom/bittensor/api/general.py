"""The routes that ask for no token, in the original's words."""

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency

import strongroom
from strongroom.core.http.route_access import PUBLIC
from strongroom.core.runtime.telemetry import Health, Status

DATABASE = "bittensorDatabase"


@get("/", summary="The version", tags=["General"], opt=PUBLIC, sync_to_thread=False)
def version() -> dict[str, str]:
    """The version of this service."""
    return {"version": strongroom.__version__}


@get("/health", summary="Is it alive", tags=["General"], opt=PUBLIC, sync_to_thread=False)
def read_health(health: NamedDependency[Health]) -> Response[dict[str, Any]]:
    """`ok` while the database answers. The management port says more."""
    part = health.components().get(DATABASE)
    if part is None or part.status is not Status.DOWN:
        return Response({"status": "ok"})
    return Response({"status": "down", "detail": "The database does not answer"}, status_code=503)
