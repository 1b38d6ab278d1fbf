"""Keeps a running ledger's keys as its database says: opens new versions, drops retired ones, and reports this process."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection, select

from strongroom.core.errors import Sealed, VaultError
from strongroom.core.runtime.telemetry import ComponentHealth, Status
from strongroom.core.security.access import Principal, system_principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.custody.erasing import overwrite_freed
from strongroom.core.security.custody.keeping import Keeping
from strongroom.core.security.custody.opening import open_ring
from strongroom.core.security.custody.replicas import Presence
from strongroom.core.security.custody.rotation import Rotation
from strongroom.core.security.custody.seal import is_proven, says_sealed
from strongroom.core.security.custody.sealing import Sealing
from strongroom.core.security.custody.turned_back import (
    Recorded,
    read_recorded,
    require_not_turned_back,
    require_retired,
    turned_back,
)
from strongroom.core.security.keys.ring import FIRST_VERSION, TRAIL, KeyRing
from strongroom.core.security.keys.secrets import open_secrets
from strongroom.core.security.keys.trail_key import SEALED, TrailKey
from strongroom.core.security.keys.versions import KeyState, KeyVersion, active_of, load_versions
from strongroom.core.security.vault import KeyEncryptionKey
from strongroom.core.storage import tables

log = structlog.get_logger(__name__)

POLL_S = 0.4
ERASINGS = 3
"""So often freed memory is overwritten after a seal, a look apart: who computes with a key frees it a moment later."""
CARRY_ON_S = 30.0
SYSTEM = system_principal("keys")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What the database says in one pass."""

    is_sealed: bool
    versions: Sequence[KeyVersion]
    recorded: Recorded | None = None
    """None: the versions were judged before."""
    needed: frozenset[int] = frozenset()
    """The versions that tags name."""


class Custody:
    """The keys of one ledger in this process."""

    def __init__(self, keeping: Keeping, audit: Audit, trail_key: TrailKey, holder: str) -> None:
        """`holder` names this process in the database."""
        self.keeping = keeping
        self.ring = KeyRing()
        self.news = asyncio.Event()
        """Set when a rotation was begun that this process may finish."""
        self._audit = audit
        self._trail_key = trail_key
        self._presence = Presence(holder, self.ring, keeping.database, keeping.clock)
        self._retired: frozenset[int] = frozenset()
        """Versions that this process saw retired."""
        self._active = FIRST_VERSION
        """The last version that this process saw active."""
        self._judged: Sequence[KeyVersion] = ()
        """The versions that were found to be as the service wrote them."""
        self._why = SEALED
        self._erasings = 0

    async def open(self) -> None:
        """Opens the keys, and what is made with them.

        Raises:
            Sealed: the ledger is sealed.
            VaultError: a key is missing, wrong or weak, or other users may read it.
        """
        try:
            await self._open()
        except BaseException:
            self.shut()  # never half of it: `look` opens all of it again
            raise

    async def _open(self) -> None:
        table = self.keeping.holdings.kind.table
        if await self.keeping.database.read(lambda connection: says_sealed(connection, table)):
            raise Sealed(SEALED)
        await open_ring(self.ring, self.keeping)
        self._require_no_earlier(self.ring.version)
        if not await self.keeping.database.read(lambda connection: is_proven(connection, self.ring, table)):
            raise Sealed(
                "The record that the service is not sealed (strongroom_seal) was not written by who has its key: it counts as"
                f" sealed. Run strongroom unseal {self.keeping.source.ledger}"
            )
        await open_secrets(self.keeping.database, self.ring, self.keeping.entropy)
        self._trail_key.open(self.ring.secret(TRAIL))

    def shut(self) -> None:
        """Drops the keys, and all that was opened with them. `look` overwrites the memory that this frees."""
        if self.ring.is_open:
            self._erasings = ERASINGS
        self.ring.close()
        self._trail_key.close()

    def sealing(self) -> Sealing:
        return Sealing(keeping=self.keeping, audit=self._audit, trail_key=self._trail_key)

    async def seal(self, principal: Principal) -> bool:
        """Seals the ledger; this process at once, the others when they look. Returns False if it was so already."""
        is_new = await self.sealing().seal(principal)
        self.shut()
        return is_new

    async def unseal(self, principal: Principal, key: KeyEncryptionKey | None) -> None:
        """Unseals the ledger; the other processes open their keys when they look. Raises as `Sealing.unseal`."""
        await self.sealing().unseal(principal, key)

    @property
    def is_open(self) -> bool:
        """Whether the keys, and what is made with them, are in memory."""
        return self.ring.is_open and self._trail_key.is_open

    def check(self) -> ComponentHealth:
        """For health."""
        if self.is_open:
            return ComponentHealth(status=Status.UP)
        return ComponentHealth(status=Status.SEALED, detail=self._why)

    def rotation(self) -> Rotation:
        return Rotation(self.keeping, self.ring, self._audit)

    async def look(self) -> None:
        """Follows the database: one pass of the loop that every process runs."""
        held = self._held
        seen = await self.keeping.database.read(self._read)
        try:
            # Else a rotation in this process went on meanwhile: what was read is from before.
            if held == self._held:
                await self._look(seen)
        finally:
            # Also while a backend is away: a rotation waits for whoever lives and does not have the next key.
            await self._presence.report()

    @property
    def _held(self) -> tuple[frozenset[int], int]:
        return self.ring.versions, self.ring.version if self.ring.is_open else 0

    def _read(self, connection: Connection) -> _Seen:
        table = self.keeping.holdings.kind.table
        seen = _Seen(is_sealed=says_sealed(connection, table), versions=load_versions(connection))
        if seen.is_sealed or not self.ring.is_open or seen.versions == self._judged:
            return seen
        recorded = read_recorded(connection, table)
        needed = connection.execute(select(tables.binding.c.key_version).distinct()).scalars()
        return replace(seen, recorded=recorded, needed=frozenset(needed))

    async def _look(self, seen: _Seen) -> None:
        if seen.is_sealed:
            if self.ring.is_open:
                self.shut()
                log.warning("the ledger was sealed: its keys left memory", ledger=self.keeping.source.ledger)
            if self._erasings:
                self._erasings -= 1
                await asyncio.to_thread(overwrite_freed)
        elif self.ring.is_open:
            if seen.recorded is not None:
                require_not_turned_back(seen.versions, seen.recorded, seen.needed)
                self._judged = seen.versions
            await self._follow(seen.versions)
        else:
            await self._open_again()

    async def _open_again(self) -> None:
        try:
            await self.open()
        except Sealed as error:
            self._why = error.message
            return
        self._why = SEALED
        log.warning("the ledger was unsealed", ledger=self.keeping.source.ledger)

    async def carry_on(self) -> None:
        """Finishes a change of the key that was begun; one pass of the loop of one process."""
        if not self.ring.is_open:
            return
        versions = await self.keeping.database.read(load_versions)
        active = active_of(versions)
        if active is None or active.version != self.ring.version:
            return  # this process has not followed yet
        if any(one.state is KeyState.REPLACED for one in versions):
            await self.rotation().finish(SYSTEM)

    async def leave(self) -> None:
        """Tells the others that this process ends."""
        await self._presence.leave()

    def _require_no_earlier(self, active: int) -> None:
        """Raises: VaultError: this process saw a later version active."""
        newest = max(self._active, self._held[1])
        if active < newest:
            raise turned_back(f"version {active} is active there, and this process saw {newest} active")
        self._active = active

    async def _follow(self, versions: Sequence[KeyVersion]) -> None:
        active = active_of(versions)
        if active is None:
            return
        self._require_no_earlier(active.version)
        require_retired(versions, self._retired)
        live = {one.version: one for one in versions if one.state is not KeyState.RETIRED}
        # A transaction may still read rows as they were: a retired key is dropped when it was seen to be retired twice.
        retired = frozenset(one.version for one in versions) - live.keys()
        kept = self.ring.versions - (retired & self._retired)
        self._retired |= retired
        keys = {version: self.ring.key(version) for version in kept}
        lacking = [one for version, one in live.items() if version not in keys]
        if lacking:
            # Of these alone: a backend is not asked for what is here, however often this process looks.
            checks = {one.key.check(): one.key for one in await self.keeping.supply.found(lacking)}
            keys |= {
                version: checks[one.check]
                for version, one in live.items()
                if version not in keys and one.check in checks
            }
        if active.version not in keys:
            raise VaultError(
                f"version {active.version} of the key-encryption key is the active one, and this process does not have it",
                code="key_missing",
            )
        if keys.keys() != self.ring.versions or active.version != self.ring.version:
            self.ring.open(keys, active.version)
            log.info("the key-encryption keys changed", versions=sorted(keys), active=active.version)
