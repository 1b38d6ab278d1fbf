"""Ends requests that wait in vain, in the transaction that takes their ground away, so that nobody is asked about them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from strongroom.core.clock import Clock
from strongroom.core.guard.approvals import store
from strongroom.core.guard.approvals.approval import ApprovalState, Purpose
from strongroom.core.guard.approvals.tagged import ApprovalRows
from strongroom.core.security.access import system_principal
from strongroom.core.security.audit import Audit


class Withdrawals:
    """Of one ledger."""

    def __init__(self, ledger: str, audit: Audit, clock: Clock) -> None:
        self._principal = system_principal(f"{ledger}-approvals")
        self._audit = audit
        self._rows = ApprovalRows(audit.key)
        self._clock = clock

    def withdraw(self, connection: Connection, parts: Mapping[str, Any], reason: str) -> None:
        """Ends, as failed, the requests whose documents have these parts. It appends to the audit trail, so it comes last.

        What is over by time is left: it ends as expired.
        """
        now_ms = self._clock.now_ms()
        for approval in store.select_open(connection, Purpose.SIGNATURE, now_ms):
            document = approval.document
            if document is None or any(document.get(name) != value for name, value in parts.items()):
                continue
            if store.end(connection, approval, ApprovalState.FAILED, reason, now_ms):
                details = {"terms": approval.terms, "reason": reason}
                sequence = self._audit.append(
                    connection, self._principal, "approval.failed", approval.id, details
                )
                self._rows.tag(connection, approval.id, sequence)
