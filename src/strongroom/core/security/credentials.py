"""Secrets that let callers in: long enough that nobody guesses them."""

from collections.abc import Sequence

import structlog
from sqlalchemy import Connection, inspect

from strongroom.core.environment import SHORT_SECRETS_VARIABLE, SHORTEST_CREDENTIAL, SettingsError
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)


async def require_long_credentials(database: Database, short: Sequence[str]) -> None:
    """Call it before the schema is made: `short` are the variables that the operator allowed to be short.

    Raises:
        SettingsError: the database is new, so nobody depends on them yet.
    """
    if not short:
        return
    if await database.read(_is_empty):
        raise SettingsError(
            [
                f"{name} is shorter than {SHORTEST_CREDENTIAL} bytes. {SHORT_SECRETS_VARIABLE} allows that only for a"
                " database that was in use before, and this one is new: set a longer one, as `openssl rand -hex 32`"
                " makes it"
                for name in short
            ]
        )
    log.warning("short secrets let callers in; change them soon", variables=list(short))


def _is_empty(connection: Connection) -> bool:
    return not inspect(connection).get_table_names()
