"""Finds the secret of a ledger's audit trail for who only reads its database."""

from strongroom.core.ledger.contract import AnyLedger, LedgerSettings
from strongroom.core.ledger.keys.backends import opened_backends
from strongroom.core.security.custody.backends import KeySupply
from strongroom.core.security.keys.kept import look_at_kept
from strongroom.core.security.keys.ring import TRAIL
from strongroom.core.security.keys.secrets import look_at_secret
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.keys.versions import load_versions
from strongroom.core.storage.database import Database


async def look_up_trail_key(ledger: AnyLedger, settings: LedgerSettings, database: Database) -> TrailKey:
    """Changes nothing and makes nothing.

    Raises:
        VaultError: the key is not here, or it is not the one of this database.
        KeyBackendAway: what keeps the key does not answer.
    """
    if ledger.holdings() is None or settings.key is None:
        given = ledger.trail_secrets(settings)
        return TrailKey(await database.read(lambda connection: look_at_kept(connection, given)))
    versions = await database.read(load_versions)
    async with opened_backends(settings.key) as backends:
        found = await KeySupply(source=settings.key, backends=backends).found(versions)
    return TrailKey(await database.read(lambda connection: look_at_secret(connection, found, TRAIL)))
