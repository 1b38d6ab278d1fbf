"""Parks requests that people must approve, after the transaction that would have signed them was undone."""

from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from sqlalchemy import Connection

from strongroom.core.clock import Clock, Entropy, iso_instant
from strongroom.core.errors import ApprovalNeeded, OutcomeUnknown, Unavailable
from strongroom.core.guard.approvals import store
from strongroom.core.guard.approvals.approval import (
    OPEN,
    Approval,
    ApprovalState,
    Purpose,
    Unapproved,
    hash_terms,
    needs,
    slot_of,
    terms_of,
)
from strongroom.core.guard.approvals.asking import begin_waiting
from strongroom.core.guard.approvals.tagged import ApprovalRows
from strongroom.core.guard.state import GuardReader, GuardState
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.storage.database import Database
from strongroom.core.storage.errors import DatabaseUnavailable, Duplicate

T = TypeVar("T")
ID_BYTES: Final = 8
ATTEMPTS: Final = 8


class ParkedRequests:
    """See `core.security.policy.Parking`."""

    def __init__(self, audit: Audit, clock: Clock, entropy: Entropy, *, lifetime_ms: int) -> None:
        self._audit = audit
        self._clock = clock
        self._entropy = entropy
        self._lifetime_ms = lifetime_ms
        self._reader = GuardReader(audit.key)
        self._rows = ApprovalRows(audit.key)

    async def write(self, database: Database, work: Callable[[Connection], T]) -> T:
        """Raises: ApprovalNeeded, Conflict: too much waits already; what `work` and `Database.write` raise."""
        for _ in range(ATTEMPTS):
            try:
                return await database.write(work)
            except Unapproved as asked:
                parked = await self._try_to_park(database, asked)
            if parked is not None:
                raise _waiting(parked)
        raise Unavailable(
            "The rules change all the time; nothing was signed, try again", code="rules_changed"
        )

    def spent(
        self, connection: Connection, principal: Principal, approval: str, payload_id: bytes | None
    ) -> None:
        """Its audit row tells that it is spent: a request that was put back to before is signed no second time."""
        if payload_id is not None:
            store.set_payload(connection, approval, payload_id)
        details = {} if payload_id is None else {"hash": payload_id.hex().upper()}
        sequence = self._audit.append(connection, principal, "approval.spent", approval, details)
        self._rows.tag(connection, approval, sequence)

    async def _try_to_park(self, database: Database, asked: Unapproved) -> Approval | None:
        """None: something changed since the policy was asked, which must be asked again."""
        approval_id = self._entropy.token(ID_BYTES).hex()
        try:
            return await database.write(partial(self._park, asked, approval_id))
        except Duplicate:
            return None  # an equal request was quicker
        except OutcomeUnknown as error:
            raise DatabaseUnavailable("The database does not answer; nothing was signed") from error

    def _park(self, asked: Unapproved, approval_id: str, connection: Connection) -> Approval | None:
        now_ms = self._clock.now_ms()
        state = self._reader.held(connection, now_ms)
        if state.generation != asked.generation:
            return None
        request, deferral = asked.request, asked.request.deferral
        terms = terms_of(request)
        terms_hash = hash_terms(terms)
        slot = slot_of(request.principal.name, deferral.key, terms_hash)
        known = store.load_by_slot(connection, slot, lock=True)
        if known is not None:
            if known.state_at(now_ms) in OPEN:
                self._rows.require_good(known)
                return self._asked_again(connection, state, known, asked)
            if known.key is not None or known.state not in OPEN:
                return None  # it ended meanwhile, and the policy says how
        if deferral.approval is not None:
            return None  # it is being carried out, and ended meanwhile
        approval = Approval(
            id=approval_id,
            purpose=Purpose.SIGNATURE,
            state=ApprovalState.PARKED,
            terms=terms,
            terms_hash=terms_hash,
            principal=request.principal,
            key=deferral.key,
            document=None if deferral.document is None else dict(deferral.document),
            requirements=asked.requirements,
            asked_at_ms=now_ms,
            expires_at_ms=now_ms + self._lifetime_ms,
            ended_at_ms=None,
            payload_id=None,
            reason=None,
        )
        details = {"rules": [each.name for each in asked.requirements]}
        begin_waiting(connection, self._audit, approval, slot, over=known, details=details)
        return approval

    def _asked_again(
        self, connection: Connection, state: GuardState, known: Approval, asked: Unapproved
    ) -> Approval | None:
        """The same request waits already. Other rules may ask for it now, or fewer votes of it count."""
        is_satisfied = store.is_satisfied(connection, self._rows.tokens, state, known, asked.requirements)
        new_state = ApprovalState.APPROVED if is_satisfied else ApprovalState.PARKED
        if known.requirements != asked.requirements or known.state is not new_state:
            store.set_requirements(connection, known, asked.requirements, new_state)
            self._rows.tag(connection, known.id)
        return None if is_satisfied else known


def _waiting(approval: Approval) -> ApprovalNeeded:
    how = "it is signed" if approval.document is not None else "ask again, and it is signed"
    return ApprovalNeeded(
        f"Nothing is signed yet: {needs(approval.requirements)}. It waits as {approval.id} until"
        f" {iso_instant(approval.expires_at_ms)}; once it is approved, {how}",
        approval=approval.id,
        rule=next((each.name for each in approval.requirements), None),
    )
