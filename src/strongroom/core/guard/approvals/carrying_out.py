"""Carries out what people approved, in the running ledger, whether or not the client asks again.

A ledger that can sign a request without its client has a `Carrier`, and gives its signature requests a `Deferral` with a document.
It runs `CarryingOut.advance` in a loop (`LedgerBase.carrying_out`), under the lease of its workers. Two processes at once would be
wasteful, not wrong: an approval is spent once, in the transaction that signs.
"""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import structlog
from sqlalchemy import Connection

from strongroom.core.clock import Clock
from strongroom.core.errors import (
    Conflict,
    IdempotencyMismatch,
    IdempotencyRunning,
    InvalidInput,
    NotFound,
    StrongroomError,
    Unauthenticated,
)
from strongroom.core.guard.approvals import store
from strongroom.core.guard.approvals.approval import Approval, ApprovalState, Purpose
from strongroom.core.guard.approvals.tagged import ApprovalRows
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.security.access import Principal, system_principal
from strongroom.core.security.audit import Audit
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)

AT_ONCE: Final = 16
MAX_DUE: Final = 10_000
FINAL: Final = (InvalidInput, NotFound, Conflict, IdempotencyMismatch, Unauthenticated)
"""With these the request can never be carried out. After any other error it is tried again, until it is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedRequest:
    """A request to carry out. Its signature request must name `id` as its `Deferral.approval`."""

    id: str
    principal: Principal
    """Who asked, as they asked: with their scopes, limits, token and source."""
    key: str | None
    """Their Idempotency-Key."""
    document: dict[str, Any]


class Carrier(Protocol):
    """Signs approved requests for a ledger."""

    async def carry_out(self, request: ApprovedRequest) -> None:
        """Does what the client would have had done, under the client's key if there is one, and spends the approval.

        It may be called again after any error, and must sign nothing without spending the approval.

        Raises:
            InvalidInput, NotFound, Conflict, Unauthenticated: it can never be carried out.
            StrongroomError: not now, or its outcome is open.
        """


class CarryingOut:
    """The approved requests of one ledger. `carrier` None: their clients ask again; only time is looked after."""

    def __init__(
        self,
        ledger: str,
        carrier: Carrier | None,
        *,
        database: Database,
        audit: Audit,
        clock: Clock,
    ) -> None:
        self._principal = system_principal(f"{ledger}-approvals")
        self._carrier = carrier
        self._database = database
        self._audit = audit
        self._rows = ApprovalRows(audit.key)
        self._clock = clock

    async def advance(self) -> None:
        """Ends what is over, and carries out what is approved."""
        now_ms = self._clock.now_ms()
        due = await self._database.read(partial(store.select_due, now_ms=now_ms, limit=MAX_DUE))
        ready = list[Approval]()
        for approval in due:
            if approval.state_at(now_ms) is ApprovalState.EXPIRED:
                await self._end(approval, ApprovalState.EXPIRED, None)
            else:
                ready.append(approval)
        slots = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for approval in ready:
                group.create_task(self._carry_out(approval, slots))

    async def _carry_out(self, approval: Approval, slots: asyncio.Semaphore) -> None:
        if self._carrier is None or approval.document is None or approval.purpose is not Purpose.SIGNATURE:
            return
        request = ApprovedRequest(
            id=approval.id, principal=approval.principal, key=approval.key, document=approval.document
        )
        async with slots:
            try:
                await self._carrier.carry_out(request)
            except IdempotencyRunning:
                return  # the client itself has asked again
            except FINAL as error:
                await self._end(approval, ApprovalState.FAILED, error.message)
            except Exception as error:
                # A defect that one request meets keeps none of the others waiting.
                if not isinstance(error, StrongroomError):
                    log.exception("an approved request meets a defect", approval=approval.id)
                await self._note(approval, error)

    async def _end(self, approval: Approval, state: ApprovalState, reason: str | None) -> None:
        """Unless it is spent or decided otherwise meanwhile, or another program changed it."""

        def work(connection: Connection) -> None:
            now_ms = self._clock.now_ms()
            current = store.load(connection, approval.id, lock=True)
            if current is None or self._rows.problem(current) is not None:
                return  # what another program changed stays as it is, for a person to look at
            if store.end(connection, approval, state, reason, now_ms, states=(approval.state,)):
                details = {"terms": approval.terms, "reason": reason}
                sequence = self._audit.append(
                    connection, self._principal, f"approval.{state.value}", approval.id, details
                )
                self._rows.tag(connection, approval.id, sequence)

        await self._database.write(work)

    async def _note(self, approval: Approval, error: Exception) -> None:
        why = fault_text(error)
        if why == approval.reason:
            return
        log.warning("an approved request is not carried out yet", approval=approval.id, why=why)
        await self._database.write(partial(store.note, approval_id=approval.id, reason=why))
