"""What people do with rules and freezes: each change is one transaction, with its row in the audit trail.

What tightens counts at once. What loosens (to end a rule that denies or asks for approvals, to begin one that allows) counts after the delay that
the operator set, so that whoever steals the right to change rules must wait, and is seen, before money moves.
"""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, select, update

from strongroom.core.clock import Clock, Entropy
from strongroom.core.errors import Conflict, InvalidInput, NotFound
from strongroom.core.guard import tables
from strongroom.core.guard.rule import (
    Effect,
    Rule,
    Vocabulary,
    as_document,
    check_name,
    check_words,
    encode_rule,
    parse_rule,
)
from strongroom.core.guard.state import Freeze, FreezeScope, begin_change, load_freezes
from strongroom.core.json_decoder import decode_json
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.policy import SignatureRequest
from strongroom.core.storage import tables as core_tables
from strongroom.core.storage.database import Database

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
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._entropy = entropy
        self._vocabulary = vocabulary
        self._delay_ms = loosening_delay_ms

    async def add(self, principal: Principal, name: str, document: str | bytes) -> StoredRule:
        """Raises: InvalidInput: the document is no rule; Conflict: a rule has this name, or there are too many."""
        check_name(name)
        rule = parse_rule(document, self._vocabulary)
        rule_id = self._entropy.token(ID_BYTES).hex()
        now_ms = self._clock.now_ms()
        starts_at_ms = now_ms + (self._delay_ms if rule.effect is Effect.ALLOW else 0)
        values = {
            "id": rule_id,
            "name": name,
            "document": encode_rule(rule),
            "added_at_ms": now_ms,
            "added_by": principal.name,
            "starts_at_ms": starts_at_ms,
        }

        def work(connection: Connection) -> StoredRule:
            begin_change(connection, self._entropy)
            _forget_windows(connection, now_ms)
            _require_free(connection, name, now_ms)
            connection.execute(tables.rule.insert(), values)
            details = {"id": rule_id, "rule": as_document(rule), "startsAtMs": starts_at_ms}
            self._audit.append(connection, principal, "policy.add", name, details)
            return _stored(connection, rule_id)

        return await self._database.write(work)

    async def remove(self, principal: Principal, name: str) -> StoredRule:
        """Ends a rule, now or after the delay. Raises: NotFound: no rule that has not ended has this name."""
        now_ms = self._clock.now_ms()

        def work(connection: Connection) -> StoredRule:
            begin_change(connection, self._entropy)
            _forget_windows(connection, now_ms)
            row = connection.execute(_not_ended(now_ms).where(tables.rule.c.name == name)).first()
            if row is None or row.ends_at_ms is not None:
                raise NotFound(f"No rule that could be removed is called {name!r}", code="rule_not_found")
            loosens = decode_json(row.document, Rule).effect is not Effect.ALLOW
            ends_at_ms = now_ms + (self._delay_ms if loosens else 0)
            connection.execute(
                update(tables.rule)
                .where(tables.rule.c.id == row.id)
                .values(ends_at_ms=ends_at_ms, removed_by=principal.name)
            )
            details = {"id": row.id, "endsAtMs": ends_at_ms}
            self._audit.append(connection, principal, "policy.remove", name, details)
            return _stored(connection, row.id)

        return await self._database.write(work)

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
            begin_change(connection, self._entropy)
            if _frozen(connection, scope, subject) is not None:
                raise Conflict("It is frozen already", code="already_frozen")
            connection.execute(tables.freeze.insert(), values)
            details = {"scope": scope.value, "reason": reason}
            self._audit.append(connection, principal, "freeze", subject, details)
            return next(each for each in load_freezes(connection) if each.id == freeze_id)

        return await self._database.write(work)

    async def unfreeze(self, principal: Principal, scope: FreezeScope, subject: str) -> None:
        """Raises: NotFound: it is not frozen."""
        now_ms = self._clock.now_ms()

        def work(connection: Connection) -> None:
            begin_change(connection, self._entropy)
            row = _frozen(connection, scope, subject)
            if row is None:
                raise NotFound("It is not frozen", code="not_frozen")
            connection.execute(
                update(tables.freeze)
                .where(tables.freeze.c.id == row.id)
                .values(ended_at_ms=now_ms, ended_by=principal.name)
            )
            self._audit.append(connection, principal, "unfreeze", subject, {"scope": scope.value})

        await self._database.write(work)

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
        return list(await self._database.read(load_freezes))


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
