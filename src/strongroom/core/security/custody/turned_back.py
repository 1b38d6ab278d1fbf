"""Refuses a change of the key that somebody turned back in the database: what is sealed from then on would open with the old key.

The audit trail knows which version is active and which are retired, and the tags of sealed rows name the keys that they need. What
`strongroom_key` says must fit both. A process that saw a later state follows to no earlier one, whatever the trail says.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import Connection, select

from strongroom.core.errors import VaultError
from strongroom.core.json_decoder import decode_json
from strongroom.core.security.bindings import ACCEPTED
from strongroom.core.security.keys.versions import KeyState, KeyVersion, active_of
from strongroom.core.storage import tables

CODE: Final = "key_turned_back"
BEGUN: Final = "key.rotate"
ENDED: Final = "key.rotated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What the audit trail says of the versions."""

    active: int | None = None
    """None: nothing."""
    retired: frozenset[int] = frozenset()
    by_operator: bool = False
    """An operator took the configured key, whatever was before, and maybe not every row is sealed under it."""


class _Details(msgspec.Struct):
    """Of the rows that say something."""

    key: str | None = None
    to: int | None = None
    version: int | None = None
    retired: bool = False


def read_recorded(connection: Connection, table: str) -> Recorded:
    """`table` is the subject of the rows."""
    columns = tables.audit.c
    query = select(columns.action, columns.details).where(
        columns.subject == table, columns.action.in_((BEGUN, ENDED, ACCEPTED))
    )
    recorded = Recorded()
    for row in connection.execute(query.order_by(columns.sequence)):
        try:
            details = decode_json(row.details, _Details)
        except msgspec.MsgspecError:
            continue  # `audit verify` finds what was written over
        recorded = _next(recorded, row.action, details)
    return recorded


def _next(recorded: Recorded, action: str, details: _Details) -> Recorded:
    if action == BEGUN and details.to is not None:
        return Recorded(active=details.to, retired=recorded.retired, by_operator=recorded.by_operator)
    if action == ENDED and details.retired and details.version is not None:
        return Recorded(active=details.version, retired=frozenset(range(1, details.version)))
    if action == ACCEPTED and details.key is not None:
        return Recorded(active=details.version, by_operator=True)
    return recorded


def require_not_turned_back(
    versions: Sequence[KeyVersion], recorded: Recorded, needed: Iterable[int]
) -> None:
    """`needed`: the versions that tags name.

    Raises:
        VaultError: the versions are not those that the trail and the tags tell of.
    """
    active = active_of(versions)
    if active is None:
        return
    newest = max(needed, default=0)
    if recorded.active is not None and recorded.active != active.version:
        raise turned_back(
            f"version {active.version} is active there, and the audit trail says {recorded.active}"
        )
    if newest > active.version and not recorded.by_operator:
        raise turned_back(f"version {active.version} is active there, and rows need version {newest}")
    require_retired(versions, recorded.retired)


def require_retired(versions: Sequence[KeyVersion], retired: frozenset[int]) -> None:
    """Raises: VaultError: a version that was retired is not any more."""
    for one in versions:
        if one.version in retired and one.state is not KeyState.RETIRED:
            raise turned_back(f"version {one.version} was retired, and is {one.state} there now")


def turned_back(what: str) -> VaultError:
    return VaultError(
        f"Another program changed the records of the key-encryption key (strongroom_key): {what}. Nothing is sealed or opened"
        " with it. Restore strongroom_key, strongroom_binding_state and strongroom_secret",
        code=CODE,
    )
