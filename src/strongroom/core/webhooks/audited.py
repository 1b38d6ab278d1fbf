"""Announces what people do: whatever has a row in the audit trail and a kind of event."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection

from strongroom.core.announcements import Announcement, Announcer
from strongroom.core.security.access import Principal

KINDS: Final[Mapping[str, str]] = {
    "approval.ask": "approval.asked",
    "approval.approve": "approval.approved",
    "approval.refuse": "approval.refused",
    "approval.expired": "approval.expired",
    "approval.failed": "approval.failed",
    "freeze": "freeze.began",
    "unfreeze": "freeze.ended",
    "policy.add": "rule.added",
    "policy.remove": "rule.removed",
    "token.create": "token.created",
    "token.change": "token.changed",
    "token.rotate": "token.rotated",
    "token.revoke": "token.revoked",
    "token.refuse": "token.refused",
    "authentication.failures": "authentication.failures",
    "wallet.create": "wallet.changed",
    "wallet.import": "wallet.changed",
    "wallet.lock": "wallet.changed",
    "wallet.unlock": "wallet.changed",
    "wallet.rekey": "wallet.changed",
    "wallet.guess": "wallet.guessed",
    "export": "wallet.exported",
    "rows.refuse": "rows.refused",
    "key.import": "wallet.changed",
    "key.remove": "wallet.changed",
    "seal": "service.sealed",
    "unseal": "service.unsealed",
}
"""By the action of the row."""


class AuditedEvents:
    """Hears each row of the audit trail, in its transaction and before it is written."""

    def __init__(self, announcer: Announcer) -> None:
        self._announcer = announcer

    def __call__(
        self,
        connection: Connection,
        principal: Principal,
        action: str,
        subject: str,
        details: Mapping[str, Any] | None,
    ) -> None:
        kind = KINDS.get(action)
        if kind is None or not self._announcer.wants(connection, kind):
            return
        data = {
            "action": action,
            "subject": subject,
            "principal": principal.name,
            "requestId": principal.request_id or None,
            "details": details or {},
        }
        wallet = _wallet(action, subject, details or {})
        stream = f"{action.partition('.')[0]}:{subject}"[:190] if kind.startswith(_OF_ONE) else _RULES
        self._announcer.announce(
            connection, [Announcement(kind=kind, stream=stream, data=data, wallet=wallet)]
        )


_RULES: Final = "guard"
"""What people did to rules and freezes is told in the order in which they did it."""
_OF_ONE: Final = ("approval.", "token.", "authentication.", "wallet.", "service.", "rows.")


def _wallet(action: str, subject: str, details: Mapping[str, Any]) -> str:
    """The name of the wallet that a row concerns; empty: none."""
    if action.startswith(("wallet.", "key.")):
        return subject.partition("/")[0]
    if action in {"freeze", "unfreeze"} and details.get("scope") == "wallet":
        return subject
    terms = details.get("terms")
    return str(terms.get("wallet") or "") if isinstance(terms, Mapping) else ""
