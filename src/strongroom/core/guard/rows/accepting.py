"""Carries out an operator's decision about rows that count for nothing: they are taken as they stand, whoever wrote them.

The audit trail records it. The service never does it by itself.
"""

from collections.abc import Collection, Sequence
from functools import partial

from sqlalchemy import Connection

from strongroom.core.clock import Entropy
from strongroom.core.errors import NotFound
from strongroom.core.guard.approvals.tagged import ApprovalRows
from strongroom.core.guard.rows.check import APPROVAL, REMOVED, RULES, TOKEN, RowProblem, find_problems
from strongroom.core.guard.state import lock_rules, new_generation
from strongroom.core.guard.tagged_state import SUBJECT, tag_rules
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.rows.tokens import ACCEPTED, TokenRows
from strongroom.core.storage.database import Database


class AlteredRows:
    """The rows of one ledger that count for nothing, and what an operator does with them."""

    def __init__(self, database: Database, audit: Audit, entropy: Entropy) -> None:
        self._database = database
        self._audit = audit
        self._entropy = entropy

    async def look(self) -> list[RowProblem]:
        """Raises: Sealed: there is no key."""
        return await self._database.read(partial(find_problems, key=self._audit.key, in_full=True))

    async def accept(self, principal: Principal, names: Collection[str] | None) -> list[RowProblem]:
        """Takes the named rows as they stand; None: all. What was removed is gone from then on, also if somebody puts it back.

        Raises:
            NotFound: nothing is wrong with a named row.
        """

        def work(connection: Connection) -> list[RowProblem]:
            lock_rules(connection)
            found = find_problems(connection, self._audit.key, in_full=True)
            unknown = {*(names or ())} - {one.name for one in found}
            if unknown:
                raise NotFound(
                    f"There is nothing to accept of {', '.join(sorted(unknown))}: strongroom rows list tells what is wrong"
                )
            chosen = [one for one in found if names is None or one.name in names]
            self._accept(connection, principal, chosen)
            return chosen

        return await self._database.write(work)

    def _accept(self, connection: Connection, principal: Principal, chosen: Sequence[RowProblem]) -> None:
        tokens, approvals = TokenRows(self._audit.key), ApprovalRows(self._audit.key)
        for one in chosen:
            subject = SUBJECT if one.kind == RULES else one.id
            details = {"row": one.name, "why": one.why}
            sequence = self._audit.append(connection, principal, ACCEPTED, subject, details)
            match one.kind:
                case _ if one.why == REMOVED:
                    pass
                case _ if one.kind == TOKEN:
                    tokens.tag(connection, one.id, sequence)
                case _ if one.kind == APPROVAL:
                    approvals.tag(connection, one.id, sequence)
                case _:
                    new_generation(connection, self._entropy)
                    tag_rules(connection, self._audit, principal)
