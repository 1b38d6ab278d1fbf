"""What people do with rules and freezes: each change is one transaction, with its row in the audit trail.

What tightens counts at once. What loosens (to end a rule that denies or asks for approvals, to begin one that allows) counts
after the delay that the operator set, so that whoever steals the right to change rules must wait, and is seen, before money moves.
Or it waits, and unfreezing does too, until other people approve it.
"""

from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, delete, select, update

from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from strongroom.core.guard import tables
from strongroom.core.guard.approvals.approval import Approval
from strongroom.core.guard.approvals.changes import (
    NOBODY,
    AddRule,
    Change,
    ChangeApprovals,
    ChangeAsked,
    EndFreeze,
    RemoveRule,
    park_change,
    waits,
)
from strongroom.core.guard.everywhere import ALREADY_FROZEN, NOT_FROZEN
from strongroom.core.guard.parsing import check_name, check_words, parse_rule
from strongroom.core.guard.rule import Effect, Rule, as_document, encode_rule
from strongroom.core.guard.state import Freeze, FreezeScope, active_freezes, begin_change, load_freezes
from strongroom.core.guard.tagged_state import read_stored, tag_rules
from strongroom.core.guard.vocabulary import Vocabulary
from strongroom.core.json_decoder import decode_json
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.policy import SignatureRequest
from strongroom.core.storage import tables as core_tables
from strongroom.core.storage.database import Database

T = TypeVar("T")
ID_BYTES = 8
MAX_RULES = 1_000
MAX_REASON = 500
MAX_SUBJECT = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRule:
    """A rule with its history."""

    id: str
    name: str
    rule: Rule
    added_at_ms: int
    added_by: str
    starts_at_ms: int
    ends_at_ms: int | None
    removed_by: str | None

    def state(self, now_ms: int) -> str:
        if self.ends_at_ms is not None and self.ends_at_ms <= max(now_ms, self.starts_at_ms):
            return "ended"
        if self.rule.effect is Effect.ALLOW and now_ms < self.starts_at_ms:
            return "starts later"
        return "active" if self.ends_at_ms is None else "ends later"


class GuardAdministration:
    """Rules and freezes of one ledger."""

    def __init__(
        self,
        database: Database,
        audit: Audit,
        clock: Clock,
        entropy: Entropy,
        *,
        vocabulary: Vocabulary,
        loosening_delay_ms: int,
        approvals: ChangeApprovals = NOBODY,
    ) -> None:
        """`approvals`: who else must approve what loosens. What they approve counts at once, without the delay."""
        self._database = database
        self._audit = audit
        self._clock = clock
        self._entropy = entropy
        self._vocabulary = vocabulary
        self._delay_ms = loosening_delay_ms
        self._approvals = approvals

    async def add(self, principal: Principal, name: str, document: str | bytes) -> StoredRule:
        """Raises: InvalidInput: the document is no rule; Conflict: a rule has this name, or there are too many.

        ApprovalNeeded: it waits, because it loosens.
        """
        check_name(name)
        change = AddRule(name=name, rule=parse_rule(document, self._vocabulary))
        loosens = change.rule.effect is Effect.ALLOW

        def work(connection: Connection) -> StoredRule | Approval:
            if loosens:
                self._require_unfrozen(connection, principal)
            if loosens and self._approvals.needed:
                _require_free(connection, name, self._clock.now_ms())
                return self._park(connection, principal, change)
            return self._add(connection, principal, change, self._delay_ms if loosens else 0)

        return _done(await self._database.write(work))

    async def remove(self, principal: Principal, name: str, rule_id: str | None = None) -> StoredRule:
        """Ends a rule, now or after the delay. Raises: NotFound: no rule that has not ended has this name, and the id if given.

        ApprovalNeeded: it waits, because it loosens.
        """

        def work(connection: Connection) -> StoredRule | Approval:
            row = _removable(connection, name, self._clock.now_ms())
            change = RemoveRule(name=name, id=rule_id or row.id)
            _require_same(row, change)
            loosens = decode_json(row.document, Rule).effect is not Effect.ALLOW
            if loosens:
                self._require_unfrozen(connection, principal)
            if loosens and self._approvals.needed:
                return self._park(connection, principal, change)
            return self._remove(connection, principal, change, self._delay_ms if loosens else 0)

        return _done(await self._database.write(work))

    async def rules(self, *, ended: bool = False) -> list[StoredRule]:
        """In the order in which they were added. `ended`: those that count no more, too."""
        columns = tables.rule.c
        rows = await self._database.fetch_all(select(tables.rule).order_by(columns.added_at_ms, columns.id))
        now_ms = self._clock.now_ms()
        found = [_stored_rule(row) for row in rows]
        return [each for each in found if ended or each.state(now_ms) != "ended"]

    async def freeze(self, principal: Principal, scope: FreezeScope, subject: str, reason: str) -> Freeze:
        """Stops every signature of the subject: the next one is refused, in every process.

        Raises:
            InvalidInput: no reason, or a name that is none.
            Conflict: it is frozen already.
        """
        _check_freeze(scope, subject, reason)
        freeze_id = self._entropy.token(ID_BYTES).hex()
        values = {
            "id": freeze_id,
            "scope": scope.value,
            "subject": subject,
            "reason": reason,
            "frozen_at_ms": self._clock.now_ms(),
            "frozen_by": principal.name,
        }

        def work(connection: Connection) -> Freeze:
            begin_change(connection, self._audit.key, self._entropy)
            if _frozen(connection, scope, subject) is not None:
                raise Conflict("It is frozen already", code=ALREADY_FROZEN)
            connection.execute(tables.freeze.insert(), values)
            details = {"scope": scope.value, "reason": reason}
            self._audit.append(connection, principal, "freeze", subject, details)
            tag_rules(connection, self._audit, principal)
            return next(each for each in active_freezes(read_stored(connection)) if each.id == freeze_id)

        return await self._database.write(work)

    async def unfreeze(
        self, principal: Principal, scope: FreezeScope, subject: str, freeze_id: str | None = None
    ) -> None:
        """Raises: NotFound: it is not frozen, or by another freeze than that of the id; ApprovalNeeded: it waits."""

        def work(connection: Connection) -> Approval | None:
            self._require_unfrozen(connection, principal)
            row = _frozen(connection, scope, subject)
            if row is None or row.id != (freeze_id or row.id):
                raise NotFound("It is not frozen", code=NOT_FROZEN)
            change = EndFreeze(scope=scope, subject=subject, id=row.id)
            if self._approvals.needed:
                return self._park(connection, principal, change)
            self._unfreeze(connection, principal, change)
            return None

        _done(await self._database.write(work))

    async def require_unfrozen(self, principal: Principal) -> None:
        """Raises: Forbidden: the principal's token is frozen, so it gives nobody any right."""
        await self._database.read(lambda connection: self._require_unfrozen(connection, principal))

    def apply(self, connection: Connection, principal: Principal, change: Change, approval: str) -> None:
        """Does a change that was approved, at once. Raises: NotFound, Conflict: it cannot be done any more."""
        match change:
            case AddRule():
                self._add(connection, principal, change, 0, approval)
            case RemoveRule():
                self._remove(connection, principal, change, 0, approval)
            case EndFreeze():
                self._unfreeze(connection, principal, change, approval)

    def _add(
        self,
        connection: Connection,
        principal: Principal,
        change: AddRule,
        delay_ms: int,
        approval: str | None = None,
    ) -> StoredRule:
        rule_id, now_ms = self._entropy.token(ID_BYTES).hex(), self._clock.now_ms()
        begin_change(connection, self._audit.key, self._entropy)
        _require_free(connection, change.name, now_ms)
        _forget_windows(connection, now_ms)
        values = {
            "id": rule_id,
            "name": change.name,
            "document": encode_rule(change.rule),
            "added_at_ms": now_ms,
            "added_by": principal.name,
            "starts_at_ms": now_ms + delay_ms,
        }
        connection.execute(tables.rule.insert(), values)
        details = {"id": rule_id, "rule": as_document(change.rule), "startsAtMs": now_ms + delay_ms}
        self._audit.append(
            connection, principal, "policy.add", change.name, {**details, **_because(approval)}
        )
        tag_rules(connection, self._audit, principal)
        return _stored(connection, rule_id)

    def _remove(
        self,
        connection: Connection,
        principal: Principal,
        change: RemoveRule,
        delay_ms: int,
        approval: str | None = None,
    ) -> StoredRule:
        now_ms = self._clock.now_ms()
        begin_change(connection, self._audit.key, self._entropy)
        _require_same(_removable(connection, change.name, now_ms), change)
        _forget_windows(connection, now_ms)
        connection.execute(
            update(tables.rule)
            .where(tables.rule.c.id == change.id)
            .values(ends_at_ms=now_ms + delay_ms, removed_by=principal.name)
        )
        details = {"id": change.id, "endsAtMs": now_ms + delay_ms, **_because(approval)}
        self._audit.append(connection, principal, "policy.remove", change.name, details)
        tag_rules(connection, self._audit, principal)
        return _stored(connection, change.id)

    def _unfreeze(
        self, connection: Connection, principal: Principal, change: EndFreeze, approval: str | None = None
    ) -> None:
        begin_change(connection, self._audit.key, self._entropy)
        row = _frozen(connection, change.scope, change.subject)
        if row is None or row.id != change.id:
            raise NotFound("It is not frozen", code=NOT_FROZEN)
        connection.execute(
            update(tables.freeze)
            .where(tables.freeze.c.id == change.id)
            .values(ended_at_ms=self._clock.now_ms(), ended_by=principal.name)
        )
        details = {"scope": change.scope.value, **_because(approval)}
        self._audit.append(connection, principal, "unfreeze", change.subject, details)
        tag_rules(connection, self._audit, principal)

    def _park(self, connection: Connection, principal: Principal, change: Change) -> Approval:
        asked = ChangeAsked(
            principal=principal, change=change, approval_id=self._entropy.token(ID_BYTES).hex()
        )
        return park_change(connection, asked, self._approvals, self._audit, self._clock.now_ms())

    def normalized(self, request: SignatureRequest) -> SignatureRequest:
        """A request of a person as the ledger's signatures make it, with addresses as they name them. Raises: InvalidInput."""
        words = self._vocabulary
        check_words(request.kind, request.facts, words)
        try:
            destination, account = request.destination, request.account
            if destination is not None and words.normalized_destination is not None:
                destination = words.normalized_destination(destination)
            if account and words.normalized_account is not None:
                account = words.normalized_account(account)
        except ValueError as error:
            raise InvalidInput(str(error)) from None
        return words.as_request(replace(request, destination=destination, account=account))

    async def freezes(self) -> list[Freeze]:
        """As they stand in the database."""
        return list(await self._database.read(lambda connection: active_freezes(read_stored(connection))))

    def _freezes(self, connection: Connection) -> tuple[Freeze, ...]:
        return load_freezes(connection, self._audit.key)

    def _require_unfrozen(self, connection: Connection, principal: Principal) -> None:
        """Raises: Forbidden: whoever has stolen a token that is frozen must not undo the freeze with it, or go round it."""
        for freeze in self._freezes(connection):
            if freeze.holds_caller(principal.names):
                raise Forbidden(
                    f"Nothing is loosened and no token is made: {freeze.title} is frozen ({freeze.reason})",
                    code="frozen",
                )


def _done(result: T | Approval) -> T:
    """Raises: ApprovalNeeded: it is not done, but waits."""
    if isinstance(result, Approval):
        raise waits(result)
    return result


def _because(approval: str | None) -> dict[str, str]:
    return {} if approval is None else {"approval": approval}


def _removable(connection: Connection, name: str, now_ms: int) -> Row[Any]:
    row = connection.execute(_not_ended(now_ms).where(tables.rule.c.name == name)).first()
    if row is None or row.ends_at_ms is not None:
        raise NotFound(f"No rule that could be removed is called {name!r}", code="rule_not_found")
    return row


def _require_same(row: Row[Any], change: RemoveRule) -> None:
    if row.id != change.id:
        raise NotFound(f"The rule {change.name!r} is another one now", code="rule_not_found")


def _stored(connection: Connection, rule_id: str) -> StoredRule:
    return _stored_rule(connection.execute(select(tables.rule).where(tables.rule.c.id == rule_id)).one())


def _stored_rule(row: Row[Any]) -> StoredRule:
    return StoredRule(
        id=row.id,
        name=row.name,
        rule=decode_json(row.document, Rule),
        added_at_ms=row.added_at_ms,
        added_by=row.added_by,
        starts_at_ms=row.starts_at_ms,
        ends_at_ms=row.ends_at_ms,
        removed_by=row.removed_by,
    )


def _not_ended(now_ms: int) -> Select[Any]:
    columns = tables.rule.c
    return select(tables.rule).where(columns.ends_at_ms.is_(None) | (columns.ends_at_ms > now_ms))


def _forget_windows(connection: Connection, now_ms: int) -> None:
    """Drops the counters of rules that have ended: nothing reads them any more."""
    ended = select(tables.rule.c.id).where(tables.rule.c.ends_at_ms <= now_ms)
    connection.execute(delete(core_tables.window).where(core_tables.window.c.rule.in_(ended)))


def _require_free(connection: Connection, name: str, now_ms: int) -> None:
    """A name is taken until its rule has ended: what a message calls by it must be one rule."""
    names = [row.name for row in connection.execute(_not_ended(now_ms))]
    if name in names:
        raise Conflict(
            f"A rule is called {name!r}, and it has not ended: remove that one, or take another name",
            code="rule_exists",
        )
    if len(names) >= MAX_RULES:
        raise Conflict(f"There are {MAX_RULES} rules: remove what is not needed", code="too_many_rules")


def _check_freeze(scope: FreezeScope, subject: str, reason: str) -> None:
    if bool(subject) is (scope is FreezeScope.LEDGER):
        raise InvalidInput("A token or a wallet has a name, the ledger has none", code="freeze_invalid")
    if len(subject) > MAX_SUBJECT or not subject.isprintable():
        raise InvalidInput("This is no name", code="freeze_invalid")
    if not reason.strip() or len(reason) > MAX_REASON or not reason.isprintable():
        raise InvalidInput(
            f"A freeze has a reason of 1 to {MAX_REASON} printable characters: it is told to those who ask for a signature",
            code="freeze_invalid",
        )


def _frozen(connection: Connection, scope: FreezeScope, subject: str) -> Row[Any] | None:
    columns = tables.freeze.c
    query = select(tables.freeze).where(
        columns.scope == scope.value, columns.subject == subject, columns.ended_at_ms.is_(None)
    )
    # MySQL takes names for equal that differ in spaces at the end, and signatures do not.
    return next((row for row in connection.execute(query) if row.subject == subject), None)
