"""Audit trails that tests make without a ledger around them."""

from collections.abc import Callable
from functools import partial

from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.vault import KeyEncryptionKey
from strongroom.core.storage.database import Database
from strongroom.core.transparency.verification import verify as verify_trail
from support.keys import KEY

SECRET = bytes(range(32))
Elsewhere = Callable[[str], list[list[str]]]
_CALLER = Principal(name="token:alice", scopes=frozenset({"*"}))


def open_trail() -> TrailKey:
    """The same secret in every process, so that several write one trail."""
    return TrailKey(SECRET)


def trail_of_service() -> TrailKey:
    """That of a service which began with `KEY`, for people who act beside it."""
    return TrailKey(KeyEncryptionKey(bytes.fromhex(KEY)).derive(b"strongroom trail v1"))


async def verify(database: Database, key: TrailKey | None = None) -> int:
    """Verifies a trail that `open_trail` wrote, or a ledger's, whose `key` it is then."""
    return await verify_trail(database, key or open_trail())


async def record(database: Database, audit: Audit, *subjects: str) -> None:
    """Appends a row for each subject, each in a transaction of its own."""
    for subject in subjects:
        append = partial(
            audit.append, principal=_CALLER, action="create", subject=subject, details={"of": subject}
        )
        await database.write(append)
