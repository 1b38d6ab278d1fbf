"""One line of the log for each step of a payment's life, under the same names: ledger, id, request_id."""

import structlog

from strongroom.core.intents.intent import Intent
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


def log_offered(ledger: str, intent: Intent) -> None:
    log.info("payment offered", **_names(ledger, intent), attempts=intent.attempts)


def log_confirmed(ledger: str, intent: Intent) -> None:
    log.info("payment confirmed", **_names(ledger, intent), stage=intent.stage)


def log_rejected(ledger: str, intent: Intent) -> None:
    """A warning: nobody asks for what has no effect."""
    names = _names(ledger, intent)
    log.warning("payment rejected", **names, stage=intent.stage, reason=intent.reason)


def log_told(ledger: str, intent: Intent, to: str) -> None:
    log.info("payment told", **_names(ledger, intent), to=to)


def _names(ledger: str, intent: Intent) -> dict[str, str]:
    return {"ledger": ledger, "id": intent.id.hex(), "request_id": intent.request_id}
