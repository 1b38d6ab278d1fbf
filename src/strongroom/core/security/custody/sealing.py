"""Seals a ledger for all processes, and unseals it with its key-encryption key."""

import hmac
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import Connection, update

from strongroom.core.errors import Conflict, Forbidden, KeyBackendAway, RateLimited, VaultError
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.custody.keeping import Keeping
from strongroom.core.security.custody.seal import (
    RECORD_ID,
    SEAL,
    UNSEAL,
    is_proven,
    load_seal,
    lock_seal,
    says_sealed,
    store_sealed,
    store_unsealed,
)
from strongroom.core.security.keys.ring import TRAIL, KeyRing
from strongroom.core.security.keys.secrets import open_secrets
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.keys.versions import KeyVersion, active_of, load_versions
from strongroom.core.security.vault import KeyEncryptionKey
from strongroom.core.storage import tables

log = structlog.get_logger(__name__)

FREE: Final = 5
"""So many wrong keys are answered at once."""
MAX_PAUSE_S: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    keeping: Keeping
    audit: Audit
    trail_key: TrailKey

    async def seal(self, principal: Principal) -> bool:
        """Records that the ledger is sealed; every process drops its keys as soon as it sees that. Returns False if it was so.

        A process without keys records it too; then the audit row is missing, and the log has it.
        """
        now_ms = self.keeping.clock.now_ms()

        def work(connection: Connection) -> bool:
            lock_seal(connection)
            if says_sealed(connection, self._table):
                return False
            sequence = 0
            if self.trail_key.is_open:
                sequence = self.audit.append(connection, principal, SEAL, self._table)
            store_sealed(connection, sequence, now_ms)
            return True

        is_new = await self.keeping.database.write(work)
        if is_new:
            log.warning("the ledger is sealed", ledger=self.keeping.source.ledger, by=principal.name)
        return is_new

    async def unseal(self, principal: Principal, key: KeyEncryptionKey | None) -> None:
        """Records that the ledger is unsealed. Without a key, the backend that wrapped it must open it.

        Raises:
            Conflict: the ledger is not sealed.
            Forbidden: the key is not the active one.
            RateLimited: too many wrong keys were tried.
        """
        versions = await self.keeping.database.read(load_versions)
        active = active_of(versions)
        if active is None:
            raise VaultError("The database has no active key-encryption key", code="wrong_key")
        failed = await self._begin_attempt()
        if key is None:
            try:
                key = await self._from_backend(versions, active)
            except (KeyBackendAway, Forbidden):
                await self._take_back_attempt()  # nobody tried a wrong key
                raise
        if not hmac.compare_digest(key.check(), active.check):
            log.warning("a wrong key was tried", ledger=self.keeping.source.ledger, by=principal.name)
            raise Forbidden(
                f"This is not version {active.version} of the key-encryption key: it stays sealed",
                code="unseal_refused",
            )
        ring = KeyRing()
        ring.open({active.version: key}, active.version)
        await open_secrets(self.keeping.database, ring, self.keeping.entropy)
        was_open = self.trail_key.is_open
        self.trail_key.open(ring.secret(TRAIL))
        try:
            await self._record(principal, ring, failed)
        finally:
            if not was_open:
                self.trail_key.close()
            ring.close()

    @property
    def _table(self) -> str:
        return self.keeping.holdings.kind.table

    async def _begin_attempt(self) -> int:
        """Counts the attempt before the key is looked at; returns how many failed before.

        Raises:
            Conflict: the ledger is not sealed.
            RateLimited: it is too early.
        """
        now_ms = self.keeping.clock.now_ms()

        def work(connection: Connection) -> int:
            lock_seal(connection)
            record = load_seal(connection)
            if record is None and not says_sealed(connection, self._table):
                raise _not_sealed()
            if record is None:
                store_sealed(connection, 0, now_ms)
                return 0
            if record.attempts >= FREE:
                pause_s = min(2 ** (record.attempts - FREE), MAX_PAUSE_S)
                left_ms = record.attempted_at_ms + pause_s * 1000 - now_ms
                if left_ms > 0:
                    left_s = -(-left_ms // 1000)
                    raise RateLimited(
                        f"Too many wrong keys were tried. Try again in {left_s} s", retry_after_s=left_s
                    )
            counted = {"attempts": record.attempts + 1, "attempted_at_ms": now_ms}
            connection.execute(update(tables.seal).where(tables.seal.c.id == RECORD_ID).values(counted))
            return record.attempts

        return await self.keeping.database.write(work)

    async def _take_back_attempt(self) -> None:
        attempts = tables.seal.c.attempts
        counted = update(tables.seal).where(tables.seal.c.id == RECORD_ID, attempts > 0)

        def work(connection: Connection) -> None:
            lock_seal(connection)
            connection.execute(counted.values(attempts=attempts - 1))

        await self.keeping.database.write(work)

    async def _from_backend(self, versions: list[KeyVersion], active: KeyVersion) -> KeyEncryptionKey:
        backends = self.keeping.backends
        found = [] if backends is None or active.wrapped is None else await backends.open(versions)
        for one in found:
            if one.key.check() == active.check:
                return one.key
        raise Forbidden("No backend keeps this key: give the key-encryption key", code="unseal_refused")

    async def _record(self, principal: Principal, ring: KeyRing, failed: int) -> None:
        now_ms = self.keeping.clock.now_ms()

        def work(connection: Connection) -> None:
            lock_seal(connection)
            if is_proven(connection, ring, self._table):
                raise _not_sealed()
            facts = {"failedAttempts": failed}
            sequence = self.audit.append(connection, principal, UNSEAL, self._table, facts)
            store_unsealed(connection, ring, sequence, now_ms)

        await self.keeping.database.write(work)
        log.warning("the ledger is unsealed", ledger=self.keeping.source.ledger, by=principal.name)


def _not_sealed() -> Conflict:
    return Conflict("The ledger is not sealed", code="not_sealed")
