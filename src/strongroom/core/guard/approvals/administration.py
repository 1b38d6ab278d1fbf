"""What people do with requests that wait for approvals: look at them, approve and refuse them."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from sqlalchemy import Connection

from strongroom.core.clock import Clock
from strongroom.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from strongroom.core.guard.approvals import store
from strongroom.core.guard.approvals.approval import (
    OPEN,
    Approval,
    ApprovalState,
    Purpose,
    Vote,
)
from strongroom.core.guard.approvals.changes import Apply, do_change, no_change
from strongroom.core.guard.approvals.tagged import ApprovalRows
from strongroom.core.guard.rule import approve_scope
from strongroom.core.guard.state import GuardReader, GuardState
from strongroom.core.security.access import ANONYMOUS, Principal, system_principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.upkeep.descent import comes_from
from strongroom.core.storage.database import Database

MAX_PAGE: Final = 500
MAX_REASON: Final = 500
WITHDRAWN: Final = "withdrawn"
_Change = Callable[[Connection], Approval]


class ApprovalAdministration:
    """The requests of one ledger that wait for approvals."""

    def __init__(
        self, database: Database, audit: Audit, clock: Clock, *, ledger: str, apply: Apply = no_change
    ) -> None:
        """`apply` does an approved change of a rule or a freeze."""
        self._database = database
        self._audit = audit
        self._clock = clock
        self._apply = apply
        self._scope = approve_scope(ledger)
        self._service = system_principal(f"{ledger}-approvals")
        self._reader = GuardReader(audit.key)
        self._rows = ApprovalRows(audit.key)
        self.decided = asyncio.Event()
        """Set after each approval in this process; whoever carries requests out clears it."""

    async def page(
        self,
        states: Collection[ApprovalState] = OPEN,
        *,
        after: str | None = None,
        limit: int = MAX_PAGE,
        asked_by: str | None = None,
    ) -> Sequence[Approval]:
        """The newest first, from the one after the request `after` on. `asked_by`: what this principal asked for alone.

        Raises:
            InvalidInput: there is no request `after`.
        """
        now_ms = self._clock.now_ms()
        found = await self._database.read(
            partial(
                store.select_page,
                states=states,
                now_ms=now_ms,
                after=after,
                limit=limit,
                principal=asked_by,
            )
        )
        return [replace(each, state=each.state_at(now_ms)) for each in found]

    async def list(self, states: Collection[ApprovalState] = OPEN) -> list[Approval]:
        """All of them, the newest first."""
        page = await self.page(states)
        found = [*page]
        while len(page) == MAX_PAGE:
            page = await self.page(states, after=page[-1].id)
            found += page
        return found

    async def show(self, approval_id: str) -> Approval:
        """Raises: NotFound."""
        return self._as_it_is_now(await self._database.read(partial(_load, approval_id=approval_id)))

    async def approve(self, principal: Principal, approval_id: str) -> Approval:
        """Says yes. The one that completes what the rules ask for makes the request APPROVED; a change is done by it.

        Raises:
            NotFound: there is no such request.
            Forbidden: it is the principal's own, or the principal may not decide it, or is frozen.
            Conflict: it is decided already, or over; or this principal has approved it.
            ApprovalAltered: another program changed it, or votes on it.
        """

        def change(connection: Connection) -> Approval:
            now_ms = self._clock.now_ms()
            state = self._reader.held(connection, now_ms)
            approval = self._undecided(connection, approval_id, (ApprovalState.PARKED,))
            self._rows.require_good(approval)
            self._require_voter(connection, state, approval, principal)
            vote = Vote(
                principal=principal.name,
                token=principal.token,
                has_scope=principal.may(self._scope),
                at_ms=now_ms,
                source=principal.source,
            )
            store.insert_vote(connection, approval, vote)
            approval = _load(connection, approval_id)
            is_enough = store.is_satisfied(
                connection, self._rows.tokens, state, approval, approval.requirements
            )
            if is_enough and approval.purpose is Purpose.SIGNATURE:
                store.set_requirements(connection, approval, approval.requirements, ApprovalState.APPROVED)
            elif is_enough:
                do_change(connection, self._rows.tokens, state, approval, self._apply, now_ms)
            details = {"terms": approval.terms, "votes": len(approval.votes)}
            sequence = self._audit.append(connection, principal, "approval.approve", approval_id, details)
            decided = _load(connection, approval_id)
            if decided.state is ApprovalState.FAILED:
                failed = {"terms": decided.terms, "reason": decided.reason}
                sequence = self._audit.append(
                    connection, self._service, "approval.failed", approval_id, failed
                )
            self._rows.tag(connection, approval_id, sequence)
            return decided

        return await self._decide(change)

    async def refuse(self, principal: Principal, approval_id: str, reason: str) -> Approval:
        """Says no, which ends the request, whoever else said yes. Whoever asked may withdraw the request by it.

        Raises:
            InvalidInput: the reason; what `approve` raises.
        """
        if not reason.strip() or len(reason) > MAX_REASON or not reason.isprintable():
            raise InvalidInput(
                f"A refusal has a reason of 1 to {MAX_REASON} printable characters: whoever asked is told",
                code="approval_invalid",
            )

        def change(connection: Connection) -> Approval:
            now_ms = self._clock.now_ms()
            state = self._reader.held(connection, now_ms)
            approval = self._undecided(connection, approval_id, OPEN)
            if principal.name != approval.principal.name:
                self._require_entitled(connection, state, approval, principal)
            why = f"{reason} ({principal.name})"
            store.end_locked(connection, approval, ApprovalState.REFUSED, why, now_ms)
            details = {"terms": approval.terms, "reason": reason}
            sequence = self._audit.append(connection, principal, "approval.refuse", approval_id, details)
            self._rows.tag(connection, approval_id, sequence)
            return _load(connection, approval_id)

        return await self._decide(change)

    async def withdraw(self, principal: Principal, approval_id: str) -> Approval:
        """As `refuse`, for whoever asked, who needs no right to decide.

        Raises:
            NotFound: the principal has not asked for it; Conflict: it is decided already, or over.
        """
        if (await self.show(approval_id)).principal.name != principal.name:
            raise _unknown(approval_id)
        return await self.refuse(principal, approval_id, WITHDRAWN)

    def _as_it_is_now(self, approval: Approval) -> Approval:
        """Time is over whether or not a process has stored that it is."""
        return replace(approval, state=approval.state_at(self._clock.now_ms()))

    async def _decide(self, change: _Change) -> Approval:
        approval = await self._database.write(change)
        self.decided.set()
        return approval

    def _undecided(
        self, connection: Connection, approval_id: str, states: Collection[ApprovalState]
    ) -> Approval:
        approval = _load(connection, approval_id, lock=True)
        if (found := approval.state_at(self._clock.now_ms())) not in states:
            raise _decided(found)
        return approval

    def _require_voter(
        self, connection: Connection, state: GuardState, approval: Approval, principal: Principal
    ) -> None:
        if principal.name == approval.principal.name:
            raise Forbidden("Nobody approves a request of their own", code="approval_own")
        asking, deciding = approval.principal.token, principal.token
        if asking is not None and deciding is not None and comes_from(connection, asking, principal.name):
            raise Forbidden("Nobody approves the request of a token that they made", code="approval_own")
        self._require_entitled(connection, state, approval, principal)
        if any(vote.principal == principal.name for vote in approval.votes):
            raise Conflict(f"{principal.name} has approved it already", code="approval_voted")

    def _require_entitled(
        self, connection: Connection, state: GuardState, approval: Approval, principal: Principal
    ) -> None:
        """Raises: Forbidden, Unauthenticated."""
        has_scope = principal.may(self._scope)
        is_named = any(
            store.may_decide(each, principal.name, has_scope=has_scope) for each in approval.requirements
        )
        if principal.name == ANONYMOUS.name or principal.is_service or not is_named:
            raise Forbidden(f"{principal.name} is none of those who decide this", code="approval_not_yours")
        if store.is_frozen(state, principal.names):
            raise Forbidden(f"{principal.name} is frozen", code="frozen")
        self._rows.tokens.require_unrevoked(connection, principal)


def _load(connection: Connection, approval_id: str, *, lock: bool = False) -> Approval:
    approval = store.load(connection, approval_id, lock=lock)
    if approval is None:
        raise _unknown(approval_id)
    return approval


def _unknown(approval_id: str) -> NotFound:
    return NotFound(f"No request waits or waited as {approval_id}", code="approval_not_found")


def _decided(state: ApprovalState) -> Conflict:
    return Conflict(f"The request is {state.value} already", code="approval_decided")
