"""An answer that says no, in the original's form: {success: false, error, ...}."""

from http import HTTPStatus

import msgspec

from strongroom.core.errors import InvalidInput, LeaseLost, OutcomeUnknown, StrongroomError, Unavailable
from strongroom.core.http.door import Refused
from strongroom.core.runtime.breaker import BreakerOpen
from strongroom.core.storage.errors import Duplicate
from strongroom.hathor.gateway import InvalidNodeResponse, NodeFailed, NodeRefused, NodeUnavailable

OF_HOUSE: tuple[tuple[tuple[type[StrongroomError], ...], int, str], ...] = (
    ((Unavailable, OutcomeUnknown, LeaseLost), 503, "service-unavailable"),
    ((Duplicate,), 409, "conflict"),
    ((InvalidInput,), 400, "invalid-payload"),
)
"""What an error that no route expects is answered with."""


class Refusal(Exception):
    """Ends a request with `status` and a JSON body; `extras` stand beside `error` in it."""

    def __init__(self, status: int, error: str | None, /, **extras: object) -> None:
        super().__init__(error or "refused")
        self.status = status
        self.error = error
        self.extras = extras

    def body(self) -> dict[str, object]:
        named = {"error": self.error} if self.error is not None else {}
        return {"success": False, **named, **self.extras}


class GatewayRefusal(Refusal):
    """What the original's gateway says before any handler runs; its form is not ours to choose."""

    def body(self) -> dict[str, object]:
        return dict(self.extras)


def unauthorized() -> GatewayRefusal:
    return GatewayRefusal(401, None, message="Unauthorized")


def forbidden_route() -> GatewayRefusal:
    return GatewayRefusal(403, None, Message="User is not authorized to access this resource")


def wallet_not_found() -> Refusal:
    return Refusal(404, "wallet-not-found")


def refused_at_door(_path: str, refused: Refused) -> bytes:
    """The body of what is refused before any route is found."""
    refusal = Refusal(refused.status, refused.code.replace("_", "-"), details=[{"message": refused.message}])
    return msgspec.json.encode(refusal.body())


def refusal_of(error: StrongroomError) -> Refusal | None:
    """The answer when the full node refused or failed, or something does not answer; None for any other error."""
    if isinstance(error, NodeRefused):
        status = 404 if error.status == HTTPStatus.NOT_FOUND else 400
        return Refusal(status, "fullnode-refused", details=[{"message": error.message}])
    if isinstance(error, InvalidNodeResponse | NodeFailed):
        return Refusal(502, "fullnode-error", details=[{"message": error.message}])
    if isinstance(error, BreakerOpen | NodeUnavailable):
        return Refusal(503, "fullnode-unavailable", details=[{"message": error.message}])
    for kinds, status, word in OF_HOUSE:
        if isinstance(error, kinds):
            return Refusal(status, word, details=[{"message": error.message}])
    return None


def before_opening(_path: str, refused: Refused) -> bytes:
    """The body of every answer until the database is there: as while it is away later."""
    return msgspec.json.encode(Refusal(refused.status, "service-unavailable").body())
