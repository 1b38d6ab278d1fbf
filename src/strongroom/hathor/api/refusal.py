"""An answer that says no, in the original's form: {success: false, error, ...}."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Literal

import msgspec
from litestar.openapi.datastructures import ResponseSpec

from strongroom.core.errors import (
    ApprovalNeeded,
    Forbidden,
    InvalidInput,
    LeaseLost,
    OutcomeUnknown,
    RateLimited,
    StrongroomError,
    Unavailable,
)
from strongroom.core.http.door import Refused
from strongroom.core.runtime.breaker import BreakerOpen
from strongroom.core.storage.errors import Duplicate
from strongroom.hathor.gateway import InvalidNodeResponse, NodeFailed, NodeRefused, NodeUnavailable
from strongroom.hathor.proposals.service import ProposalUnclear
from strongroom.hathor.proposals.utxo_locks import ProposalRefused
from strongroom.hathor.wallets.access import TokenOutdated, WalletNotReady
from strongroom.hathor.wallets.registry import WalletNotFound


class Failure(msgspec.Struct):
    """`error` is a stable code; others of the code's own keys may stand beside it."""

    success: Literal[False]
    error: str | None = None
    details: Any = None


class GatewayFailure(msgspec.Struct, rename={"reason": "Message"}):
    """The caller may not: `message` with 401, and with 403 where a key is wanted; else `Message`."""

    message: str | None = None
    reason: str | None = None


OF_PROPOSALS = {"tx-proposal-not-found": 404, "forbidden": 403}
"""Where it is not 400."""


class Refusal(StrongroomError):
    """Ends a request with `status` and a JSON body; `extras` stand beside `error` in it."""

    def __init__(self, status: int, error: str | None, /, **extras: object) -> None:
        super().__init__(error or "refused", code=error)
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


def refused(description: str) -> ResponseSpec:
    """How a refusal is described in the OpenAPI document."""
    return ResponseSpec(Failure, description=description, generate_examples=False)


def refused_at_door(_path: str, refused: Refused) -> bytes:
    """The body of what is refused before any route is found."""
    refusal = Refusal(refused.status, refused.code.replace("_", "-"), details=[{"message": refused.message}])
    return msgspec.json.encode(refusal.body())


def _named(status: int, word: str) -> Callable[[StrongroomError], Refusal]:
    return lambda error: Refusal(status, word, details=[{"message": error.message}])


def _waiting(error: ApprovalNeeded) -> Refusal:
    named = {} if error.approval is None else {"approvalId": error.approval}
    return Refusal(403, "approval-needed", details=[{"message": error.message}], **named)


def _of_node(error: NodeRefused) -> Refusal:
    return _named(404 if error.status == HTTPStatus.NOT_FOUND else 400, "fullnode-refused")(error)


REFUSALS: tuple[tuple[tuple[type[StrongroomError], ...], Callable[[Any], Refusal]], ...] = (
    ((Refusal,), lambda refusal: refusal),
    (
        (ProposalRefused,),
        lambda error: Refusal(OF_PROPOSALS.get(error.error, 400), error.error, **error.details),
    ),
    ((ProposalUnclear,), lambda error: Refusal(503, "service-unavailable", txProposalId=error.proposal_id)),
    ((TokenOutdated,), lambda _error: unauthorized()),
    ((WalletNotFound,), lambda error: Refusal(404, error.code)),
    ((WalletNotReady,), lambda error: Refusal(400, error.code)),
    ((NodeRefused,), _of_node),
    ((InvalidNodeResponse, NodeFailed), _named(502, "fullnode-error")),
    ((BreakerOpen, NodeUnavailable), _named(503, "fullnode-unavailable")),
    ((Unavailable, OutcomeUnknown, LeaseLost), _named(503, "service-unavailable")),
    ((Duplicate,), _named(409, "conflict")),
    ((RateLimited,), lambda _error: Refusal(429, "too-many-requests")),
    ((InvalidInput,), _named(400, "invalid-payload")),
    ((ApprovalNeeded,), _waiting),
    ((Forbidden,), lambda error: _named(403, error.instance_code.replace("_", "-"))(error)),
)
"""What errors are answered with: the first row that has the class, or one above it."""


def refusal_of(error: StrongroomError) -> Refusal | None:
    """What an error of the house is answered with; None: that it came here is a defect."""
    return next((refuse(error) for kinds, refuse in REFUSALS if isinstance(error, kinds)), None)


def before_opening(_path: str, refused: Refused) -> bytes:
    """The body of every answer until the database is there: as while it is away later."""
    return msgspec.json.encode(Refusal(refused.status, "service-unavailable").body())
