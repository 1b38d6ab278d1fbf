"""Changes the key-encryption key of a ledger while it serves.

    1  the next key is recorded as READY; every live process loads it, and says so
    2  it becomes ACTIVE, in one transaction; the old one is REPLACED. From now on processes seal under the new one
    3  every row is sealed anew, in small transactions; processes open rows of both versions meanwhile
    4  when every process seals under the new key and no row needs the old one, the old one is RETIRED

After a kill at any point the next run, or the service itself, goes on: what is left to do is in the rows. A ledger that is sealed
meanwhile stays as it is: each transaction looks at the seal first.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.custody.agreement import Agreement, other_change
from strongroom.core.security.custody.keeping import Keeping
from strongroom.core.security.custody.needs import RowNeeds
from strongroom.core.security.custody.next_key import NextKey
from strongroom.core.security.custody.replicas import Replica
from strongroom.core.security.custody.resealing import Advance, Resealing, untold
from strongroom.core.security.custody.seal import prove_anew, require_unsealed
from strongroom.core.security.custody.turned_back import BEGUN, ENDED
from strongroom.core.security.keys.local import settle_key_files
from strongroom.core.security.keys.ring import KeyRing
from strongroom.core.security.keys.secrets import reseal_secrets
from strongroom.core.security.keys.versions import (
    KeyState,
    KeyVersion,
    active_of,
    load_versions,
    lock_state,
    set_key_check,
    set_state,
)
from strongroom.core.security.trail.lanes import exclude_signatures

SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a rotation would do now."""

    version: int
    """The version that would be active afterwards."""
    rows: int
    """How many rows would be sealed anew."""
    replicas: Sequence[Replica]
    without_key: Sequence[str]
    """The names of processes that do not have the next key yet."""
    goes_on: bool
    """Whether a rotation was begun that this one finishes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    version: int
    rows: int
    left: Sequence[str]
    """Rows that still need an older key, because they are refused."""


class Rotation:
    def __init__(self, keeping: Keeping, ring: KeyRing, audit: Audit) -> None:
        """The ring is open."""
        self._keeping = keeping
        self._ring = ring
        self._audit = audit
        self._holdings = keeping.holdings
        self._database = keeping.database
        self._agreement = Agreement(keeping.clock)
        self._next_key = NextKey(keeping, ring)
        self._row_needs = RowNeeds(keeping.holdings, ring)
        self._resealing = Resealing(keeping, ring, self._row_needs)

    async def plan(self) -> Plan:
        """Says what `run` would do. It changes nothing.

        Raises:
            InvalidInput: no next key was given.
        """
        versions = await self._database.read(load_versions)
        goes_on = any(one.state is KeyState.REPLACED for one in versions)
        replicas = await self._database.read(self._agreement.live)
        if goes_on:
            version = self._ring.version
            rows = await self._database.read(
                lambda connection: self._row_needs.count_others(connection, version)
            )
            return Plan(version=version, rows=rows, replicas=replicas, without_key=(), goes_on=True)
        version, check = 1 + max(one.version for one in versions), None
        ready = next((one for one in versions if one.state is KeyState.READY), None)
        fresh = await self._next_key.fresh(versions)
        if ready is not None and fresh is not None and fresh.check() == ready.check:
            version, check = ready.version, ready.check
        without = [one.name for one in replicas if check is not None and version not in one.versions]
        rows = await self._database.read(lambda connection: self._row_needs.count_others(connection, version))
        return Plan(version=version, rows=rows, replicas=replicas, without_key=without, goes_on=False)

    async def run(self, principal: Principal, advance: Advance = untold) -> Rotated:
        """Changes the key, or finishes a change that was begun.

        Raises:
            InvalidInput: no next key was given.
            Conflict: a live process does not have the next key; the message names it. Nothing was changed.
        """
        await self.begin(principal)
        return await self.finish(principal, advance)

    async def begin(self, principal: Principal) -> int:
        """Makes the next key the active one, unless a change is under way; returns the active version. Raises as `run`."""
        versions = await self._database.read(load_versions)
        if any(one.state is KeyState.REPLACED for one in versions):
            return self._ring.version
        ready = await self._next_key.make_ready(versions)

        async def activate() -> Sequence[Replica]:
            # First without a lock. A process that starts may appear after that, so the transaction looks again.
            late = await self._database.read(
                lambda connection: self._agreement.without(connection, ready.version)
            )
            return late or await self._activate(principal, ready)

        await self._agreement.until_none_is_late(
            activate,
            f"version {ready.version} of the key-encryption key. Start them again with {self._next_key.where}",
        )
        return ready.version

    async def finish(self, principal: Principal, advance: Advance = untold) -> Rotated:
        """Seals anew what is sealed under an older version, and retires the versions that nothing needs."""
        version = self._ring.version
        entropy = self._keeping.entropy

        def reseal(connection: Connection) -> None:
            self._require_unsealed(connection)
            active = active_of(load_versions(connection, lock=True))
            if active is None or not active.version == version == self._ring.version:
                raise other_change()
            reseal_secrets(connection, self._ring, entropy)
            prove_anew(connection, self._ring, self._holdings.kind.table)

        await self._database.write(reseal)
        rows = await self._resealing.run(version, advance)
        await self._agreement.until_none_is_late(
            lambda: self._database.read(lambda connection: self._agreement.behind(connection, version)),
            f"version {version} of the key-encryption key in use yet. Run the command again to go on",
        )
        await self._settle_files()
        while True:
            rows += await self._resealing.run(version)
            left = await self._needing(version)
            if await self._retire(principal, version, rows, left):
                return Rotated(version=version, rows=rows, left=left)

    def _require_unsealed(self, connection: Connection) -> None:
        require_unsealed(connection, self._holdings.kind.table)

    async def _settle_files(self) -> None:
        source = self._keeping.source
        if source.given is None and source.file.exists():
            numbers = {one.check: one.version for one in await self.versions()}
            await asyncio.to_thread(settle_key_files, source.file, self._ring.current.check(), numbers)

    async def versions(self) -> Sequence[KeyVersion]:
        return await self._database.read(load_versions)

    async def needs(self) -> dict[int, int]:
        """How many rows need each version of the key."""
        return await self._database.read(self._row_needs.count_each)

    async def _activate(self, principal: Principal, ready: KeyVersion) -> Sequence[Replica]:
        """Makes the ready version the active one; returns the processes that do not have it yet, and then changes nothing."""

        def work(connection: Connection) -> Sequence[Replica]:
            self._require_unsealed(connection)
            lock_state(connection)
            versions = load_versions(connection, lock=True)
            active = active_of(versions)
            if active is not None and (active.version, active.check) == (ready.version, ready.check):
                return ()  # another run was faster
            stands = {(one.version, one.check) for one in versions if one.state is KeyState.READY}
            is_under_way = any(one.state is KeyState.REPLACED for one in versions)
            if active is None or is_under_way or (ready.version, ready.check) not in stands:
                raise other_change()
            if late := self._agreement.without(connection, ready.version):
                return late
            set_state(connection, active.version, KeyState.REPLACED)
            set_state(connection, ready.version, KeyState.ACTIVE)
            set_key_check(connection, ready.check)
            facts = {"from": active.version, "to": ready.version}
            self._audit.append(connection, principal, BEGUN, self._holdings.kind.table, facts)
            return ()

        late = await self._database.write(work)
        if not late:
            keys = {version: self._ring.key(version) for version in self._ring.versions}
            self._ring.open(keys, ready.version)
        return late

    async def _needing(self, version: int) -> list[str]:
        """The names of the rows that need another version of the key."""
        return await self._database.read(lambda connection: self._row_needs.others(connection, version))

    async def _retire(self, principal: Principal, version: int, rows: int, left: Sequence[str]) -> bool:
        """False: more rows need an older version than those that are left. A process that had not followed yet bound them meanwhile."""

        def work(connection: Connection) -> bool:
            self._require_unsealed(connection)
            lock_state(connection)
            # Whoever binds a row appends to the trail, and holds its version's row until the commit. So what is read after this
            # has all of them, whatever database node they are at.
            exclude_signatures(connection)
            replaced = [
                one.version for one in load_versions(connection, lock=True) if one.state is KeyState.REPLACED
            ]
            if not replaced or (left and not rows):
                return True
            if self._row_needs.has_more(connection, version, left):
                return False
            if not left:
                for one in replaced:
                    set_state(connection, one, KeyState.RETIRED)
            facts = {"version": version, "rows": rows, "left": sorted(left)[:SHOWN], "retired": not left}
            self._audit.append(connection, principal, ENDED, self._holdings.kind.table, facts)
            return True

        return await self._database.write(work)
