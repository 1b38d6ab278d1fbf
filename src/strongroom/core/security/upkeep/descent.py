"""Finds out whether a token comes from somebody who administers tokens, so that nobody answers for a request of their own.

It asks the audit trail, and so for more than `Principal.makers`: also for people, and for those who rotated a maker afterwards.
"""

from typing import Final

from sqlalchemy import Connection, select

from strongroom.core.security.stored_tokens import TOKEN
from strongroom.core.storage import tables

GAVE_A_SECRET: Final = ("token.create", "token.rotate")


def comes_from(connection: Connection, token_id: str, principal: str) -> bool:
    """Whether the principal got a secret of this token, by creating or rotating it, or one of a token that did."""
    audit, token = tables.audit.c, tables.token.c
    seen, left = {token_id}, [token_id]
    while left:
        gave = audit.action.in_(GAVE_A_SECRET) & (audit.subject == left.pop())
        givers = set(connection.execute(select(audit.principal).where(gave)).scalars())
        if principal in givers:
            return True
        names = [one.removeprefix(TOKEN) for one in givers if one.startswith(TOKEN)]
        ids = set(connection.execute(select(token.id).where(token.name.in_(names))).scalars()) - seen
        seen |= ids
        left += ids
    return False
