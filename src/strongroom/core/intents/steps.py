"""Each step of a payment's life, told to people under the same names (ledger, id, request_id): a line of the log, and a span."""

import structlog

from strongroom.core.http.requests.named import current_request
from strongroom.core.intents.execution import Execution, ExecutionState
from strongroom.core.intents.intent import Intent
from strongroom.core.runtime.traces import TraceContext, active
from strongroom.core.security.policy import SignatureRequest

log = structlog.get_logger(__name__)


def log_requested(ledger: str, request: SignatureRequest) -> None:
    """Somebody asked for a signature, and what they asked for can be signed; the policy decides next."""
    log.info(
        "payment requested",
        ledger=ledger,
        request_id=request.principal.request_id,
        principal=request.principal.name,
        kind=request.kind,
        account=request.account,
    )


def log_signed(ledger: str, intent: Intent) -> None:
    log.info("payment signed", **_names(ledger, intent), kind=intent.kind, rule=intent.rule)
    _trace("payment signed", ledger, intent)


def log_offered(ledger: str, intent: Intent) -> None:
    log.info("payment offered", **_names(ledger, intent), attempts=intent.attempts)
    _trace("payment offered", ledger, intent)


def log_confirmed(ledger: str, intent: Intent) -> None:
    log.info("payment confirmed", **_names(ledger, intent), stage=intent.stage)
    _trace("payment confirmed", ledger, intent, since_ms=intent.created_at_ms)


def log_accepted(ledger: str, intent: Intent, execution: Execution | None) -> None:
    """`execution`: what the ledger did with it; None: it had its effect."""
    state = ExecutionState.SUCCEEDED if execution is None else execution.state
    reason = None if execution is None else execution.reason
    match state:
        case ExecutionState.SUCCEEDED:
            log_confirmed(ledger, intent)
        case ExecutionState.FAILED:
            _log_without_effect("payment failed", ledger, intent, reason, failed=True)
        case ExecutionState.UNKNOWN:
            _log_without_effect("payment unverified", ledger, intent, reason, failed=False)


def _log_without_effect(step: str, ledger: str, intent: Intent, reason: str | None, *, failed: bool) -> None:
    """A warning: the ledger has it, and it did not do what was asked for, or nobody knows."""
    log.warning(step, **_names(ledger, intent), stage=intent.stage, reason=reason)
    _trace(step, ledger, intent, since_ms=intent.created_at_ms, failed=failed)


def log_rejected(ledger: str, intent: Intent) -> None:
    """A warning: nobody asks for what has no effect."""
    names = _names(ledger, intent)
    log.warning("payment rejected", **names, stage=intent.stage, reason=intent.reason)
    _trace("payment rejected", ledger, intent, since_ms=intent.created_at_ms, failed=True)


def log_told(ledger: str, intent: Intent, to: str) -> None:
    log.info("payment told", **_names(ledger, intent), to=to)
    _trace("payment told", ledger, intent)


def _names(ledger: str, intent: Intent) -> dict[str, str]:
    return {"ledger": ledger, "id": intent.id.hex(), "request_id": intent.request_id}


def _trace(
    name: str, ledger: str, intent: Intent, *, since_ms: int | None = None, failed: bool = False
) -> None:
    """A span until now, in the trace of who asked: part of its request as long as that is answered, beside it later."""
    traces = active()
    if traces is None or not intent.request_id:
        return
    request = current_request()
    parent_id = request.span_id if request is not None and request.id == intent.request_id else None
    span = traces.begin(name, TraceContext(request_id=intent.request_id, parent_id=parent_id), at_ms=since_ms)
    attributes = {f"strongroom.{key}": value for key, value in _names(ledger, intent).items()}
    span.end(name, attributes | {"strongroom.stage": intent.stage}, failed=failed)
