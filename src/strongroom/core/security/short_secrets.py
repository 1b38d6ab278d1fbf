"""Refuses short secrets of callers in new databases."""

from collections.abc import Sequence

import structlog
from sqlalchemy import Connection, inspect

from strongroom.core.environment import SHORT_SECRETS_VARIABLE, SHORTEST_CREDENTIAL, SettingsError
from strongroom.core.storage.database import Database

log = structlog.get_logger(__name__)


async def require_long_credentials(database: Database, short: Sequence[str]) -> None:
    """Allows short secrets only with a database that is in use. Callers run it before the schema is created.

    `short` are the variables whose secrets are short with the operator's permission.

    Raises:
        SettingsError: the database is new, so no client depends on the short secrets yet.
    """
    if not short:
        return
    if await database.read(_is_empty):
        raise SettingsError(
            [
                f"{name} is shorter than {SHORTEST_CREDENTIAL} bytes. {SHORT_SECRETS_VARIABLE} allows that only for a"
                " database that was in use before, and this one is new: set a longer one, as `openssl rand -hex 32`"
                " creates it"
                for name in short
            ]
        )
    log.warning("secrets of callers are short; change them soon", variables=list(short))


def _is_empty(connection: Connection) -> bool:
    return not inspect(connection).get_table_names()
