"""Secrets that stay the same when the key-encryption key is changed, kept in the database.

Each is sealed under a key that is derived from one version of the key-encryption key and from its purpose, so that two of them
cannot be exchanged. The first time it is derived from the key that is active then, so that processes which start together agree.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select, update

from strongroom.core.clock import Entropy
from strongroom.core.errors import VaultError
from strongroom.core.security.keys.ring import FIRST_VERSION, SECRETS, KeyRing
from strongroom.core.security.keys.source import FoundKey
from strongroom.core.security.keys.versions import active_of, load_versions
from strongroom.core.security.vault import NONCE_BYTES, open_sealed, seal
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database, insert_ignore, upsert

SEALED_FOR = b"strongroom sealed secret "
DERIVED_FOR = b"strongroom %s v1"


async def open_secrets(database: Database, ring: KeyRing, entropy: Entropy) -> None:
    """Opens the secrets, and makes those that are missing.

    Raises:
        VaultError: one of them does not open, or somebody removed them.
    """
    ring.keep(await database.read(lambda connection: _opened(connection, ring)))
    missing = [purpose for purpose in SECRETS if not ring.has_secret(purpose)]
    if not missing:
        return
    nonces = {purpose: entropy.token(NONCE_BYTES) for purpose in missing}

    def work(connection: Connection) -> Mapping[bytes, bytes]:
        if len(load_versions(connection)) > 1 and connection.execute(select(tables.secret)).first() is None:
            raise VaultError(
                "The secrets under the key-encryption key (strongroom_secret) are missing: another program changed the"
                " database. Restore it",
                code="secrets_missing",
            )
        rows = [_row(ring, purpose, _first(ring, purpose), nonces[purpose]) for purpose in missing]
        insert_ignore(connection, tables.secret, rows)
        return _opened(connection, ring)

    ring.keep(await database.write(work))


def reseal_secrets(connection: Connection, ring: KeyRing, entropy: Entropy) -> None:
    """Seals the secrets under the current version.

    Raises:
        VaultError: one of them does not open.
    """
    found = _opened(connection, ring)
    columns = tables.secret.c
    for purpose, plaintext in found.items():
        row = _row(ring, purpose, plaintext, entropy.token(NONCE_BYTES))
        is_old = (columns.purpose == purpose.decode()) & (columns.key_version != ring.version)
        connection.execute(update(tables.secret).where(is_old).values(row))


def look_at_secret(connection: Connection, found: Sequence[FoundKey], purpose: bytes) -> bytes:
    """One secret, for who only reads; `found` are the keys that are here.

    Raises:
        VaultError: the key of this database is not among them, or the secret does not open with it.
    """
    if not found:
        raise VaultError(
            "The key-encryption key is not here, and the secrets are sealed under it", code="key_missing"
        )
    checks = {one.key.check(): one.key for one in found}
    versions, ring = load_versions(connection), KeyRing()
    keys = {one.version: checks[one.check] for one in versions if one.check in checks}
    active = active_of(versions)
    if active is not None and active.version not in keys:
        raise VaultError(
            f"The key in {found[0].origin} is not the one that this database was bound with", code="wrong_key"
        )
    if active is None:
        ring.open({FIRST_VERSION: found[0].key}, FIRST_VERSION)
    else:
        ring.open(keys, active.version)
    return _opened(connection, ring, purpose).get(purpose) or _first(ring, purpose)


def renew_secrets(connection: Connection, ring: KeyRing, entropy: Entropy) -> frozenset[bytes]:
    """Seals the secrets under the current version. Those whose key is lost begin anew; returns their purposes."""
    found: dict[bytes, bytes] = {}
    for purpose in SECRETS:
        try:
            found |= _opened(connection, ring, purpose)
        except VaultError:
            continue
    begun, rows = frozenset(SECRETS) - found.keys(), []
    for purpose in SECRETS:
        found.setdefault(purpose, _first(ring, purpose))
        rows.append(_row(ring, purpose, found[purpose], entropy.token(NONCE_BYTES)))
    upsert(connection, tables.secret, rows, ["key_version", "sealed"])
    ring.keep(found)
    return begun


def _first(ring: KeyRing, purpose: bytes) -> bytes:
    return ring.current.derive(DERIVED_FOR % purpose)


def _row(ring: KeyRing, purpose: bytes, plaintext: bytes, nonce: bytes) -> dict[str, object]:
    key = ring.derive(ring.version, SEALED_FOR + purpose)
    return {
        "purpose": purpose.decode(),
        "key_version": ring.version,
        "sealed": seal(key, plaintext, nonce),
    }


def _opened(connection: Connection, ring: KeyRing, only: bytes | None = None) -> dict[bytes, bytes]:
    found = {}
    for row in connection.execute(select(tables.secret)):
        if only is not None and row.purpose != only.decode():
            continue
        purpose = row.purpose.encode()
        try:
            found[purpose] = open_sealed(ring.derive(row.key_version, SEALED_FOR + purpose), row.sealed)
        except VaultError:
            raise VaultError(
                f"The secret {row.purpose} in strongroom_secret does not open with version {row.key_version} of the"
                " key-encryption key: another program changed the database, or the key",
                code="wrong_key",
            ) from None
    return found
