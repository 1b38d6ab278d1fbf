"""The secret of the audit trail of a ledger without key-encryption key, kept in the database under a secret that the operator gives.

The first time it is derived from the given secret. When the operator gives another one, together with the one before, it is kept
under the new one too and stays the same, so that tokens, rules and the trail remain valid. Each given secret has a row of its
own, so that a wrong one that is given for a while loses nothing.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from strongroom.core.clock import Entropy
from strongroom.core.errors import VaultError
from strongroom.core.security.keys.trail_key import TRAIL, secret_of
from strongroom.core.security.vault import NONCE_BYTES, open_sealed, seal
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, insert_ignore

SEALED_FOR = b"strongroom kept trail v1"
NAMED_FOR = b"strongroom kept trail name v1"
NAME_CHARACTERS = 32
NO_VERSION = 0


async def open_kept(database: Database, given: Sequence[bytes], entropy: Entropy) -> bytes:
    """The secret (32 bytes); it is kept under the first of the given secrets from now on.

    Raises:
        VaultError: another program changed the row that keeps it.
    """
    found = await database.read(lambda connection: _kept(connection, given[0]))
    if found is not None:
        return found
    nonce = entropy.token(NONCE_BYTES)

    def work(connection: Connection) -> bytes:
        sealed = seal(secret_of(given[0], SEALED_FOR), look_at_kept(connection, given), nonce)
        row = {"purpose": _name(given[0]), "key_version": NO_VERSION, "sealed": sealed}
        insert_ignore(connection, tables.secret, [row])
        # A process that started at the same time may have kept it first.
        return look_at_kept(connection, given)

    return await database.write(work)


def look_at_kept(connection: Connection, given: Sequence[bytes]) -> bytes:
    """The secret, for who only reads. `given`: the present secret first, then the one before.

    Raises:
        VaultError: another program changed the row that keeps it.
    """
    for one in given:
        found = _kept(connection, one)
        if found is not None:
            return found
    return secret_of(given[0], TRAIL)


def _kept(connection: Connection, given: bytes) -> bytes | None:
    sealed = connection.scalar(select(tables.secret.c.sealed).where(tables.secret.c.purpose == _name(given)))
    if sealed is None:
        return None
    try:
        return open_sealed(secret_of(given, SEALED_FOR), sealed)
    except VaultError:
        raise VaultError(
            "The secret of the audit trail in strongroom_secret does not open: another program changed the database. Restore"
            " the table",
            code="wrong_key",
        ) from None


def _name(given: bytes) -> str:
    return f"trail {secret_of(given, NAMED_FOR).hex()[:NAME_CHARACTERS]}"
