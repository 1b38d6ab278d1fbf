"""Changes the key-encryption key of a ledger while it serves.

    1  the next key is recorded as READY; every live process loads it, and says so
    2  it becomes ACTIVE, in one transaction; the old one is REPLACED. From now on processes seal under the new one
    3  every row is sealed anew, in small transactions; processes open rows of both versions meanwhile
    4  when every process seals under the new key and no row needs the old one, the old one is RETIRED

After a kill at any point the next run, or the service itself, goes on: what is left to do is in the rows. A ledger that is sealed
meanwhile stays as it is: each transaction looks at the seal first.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, select

from strongroom.core.errors import Conflict, InvalidInput
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.bindings import Bindings, HeldRow
from strongroom.core.security.custody.backends import WrappedKey
from strongroom.core.security.custody.keeping import Keeping
from strongroom.core.security.custody.replicas import Replica, live_replicas, names_of
from strongroom.core.security.custody.seal import prove_anew, require_unsealed
from strongroom.core.security.custody.turned_back import BEGUN, ENDED
from strongroom.core.security.keys.local import make_secret_file, settle_key_files
from strongroom.core.security.keys.ring import KeyRing
from strongroom.core.security.keys.secrets import reseal_secrets
from strongroom.core.security.keys.versions import (
    KeyState,
    KeyVersion,
    active_of,
    add_version,
    load_versions,
    lock_state,
    remove_version,
    set_key_check,
    set_state,
)
from strongroom.core.security.trail.lanes import exclude_signatures
from strongroom.core.security.vault import NONCE_BYTES, KeyEncryptionKey, seal
from strongroom.core.storage import tables

CHUNK: Final = 100
ACKNOWLEDGE_S: Final = 20.0
"""So long the rotation waits for every process: longer than a process that is gone counts as live."""
LOOK_S: Final = 0.2
SHOWN: Final = 3

Advance = Callable[[int, int], None]


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
        self._clock = keeping.clock
        self._bindings = Bindings(ring, keeping.holdings.kind)

    async def plan(self) -> Plan:
        """Says what `run` would do. It changes nothing.

        Raises:
            InvalidInput: no next key was given.
        """
        versions = await self._database.read(load_versions)
        goes_on = any(one.state is KeyState.REPLACED for one in versions)
        replicas = await self._database.read(
            lambda connection: live_replicas(connection, self._clock.now_ms())
        )
        if goes_on:
            version = self._ring.version
            rows = await self._database.read(lambda connection: self._count_left(connection, version))
            return Plan(version=version, rows=rows, replicas=replicas, without_key=(), goes_on=True)
        version, check = 1 + max(one.version for one in versions), None
        ready = next((one for one in versions if one.state is KeyState.READY), None)
        fresh = await self._fresh(versions)
        if ready is not None and fresh is not None and fresh.check() == ready.check:
            version, check = ready.version, ready.check
        without = [one.name for one in replicas if check is not None and version not in one.versions]
        rows = await self._database.read(lambda connection: self._count_left(connection, version))
        return Plan(version=version, rows=rows, replicas=replicas, without_key=without, goes_on=False)

    async def run(self, principal: Principal, advance: Advance = lambda _done, _total: None) -> Rotated:
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
        ready = await self._make_ready(versions)

        async def activate() -> Sequence[Replica]:
            # First without a lock. A process that starts may appear after that, so the transaction looks again.
            late = await self._database.read(lambda connection: self._without(connection, ready.version))
            return late or await self._activate(principal, ready)

        await self._until_none_is_late(
            activate,
            f"version {ready.version} of the key-encryption key. Start them again with {self._where_next}",
        )
        return ready.version

    async def finish(self, principal: Principal, advance: Advance = lambda _done, _total: None) -> Rotated:
        """Seals anew what is sealed under an older version, and retires the versions that nothing needs."""
        version = self._ring.version
        entropy = self._keeping.entropy

        def reseal(connection: Connection) -> None:
            self._require_unsealed(connection)
            active = active_of(load_versions(connection, lock=True))
            if active is None or not active.version == version == self._ring.version:
                raise _other_change()
            reseal_secrets(connection, self._ring, entropy)
            prove_anew(connection, self._ring, self._holdings.kind.table)

        await self._database.write(reseal)
        rows = await self._reseal(version, advance)
        await self._until_none_is_late(
            lambda: self._database.read(lambda connection: self._behind(connection, version)),
            f"version {version} of the key-encryption key in use yet. Run the command again to go on",
        )
        await self._settle_files()
        while True:
            rows += await self._reseal(version, lambda _done, _total: None)
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

        def work(connection: Connection) -> dict[int, int]:
            found: dict[int, int] = {}
            tags = self._versions_of_tags(connection)
            for row in self._holdings.rows(connection):
                version = self._version_of(row, tags)
                if version is not None:
                    found[version] = found.get(version, 0) + 1
            return found

        return await self._database.read(work)

    @property
    def _where_next(self) -> str:
        source = self._keeping.source
        if self._keeping.wraps:
            return f"{source.backend_variable} as this command has it"
        if source.given is None:
            return f"the file {source.next_file.name} in their data folder"
        return f"{source.variable}_NEXT or {source.variable}_NEXT_FILE"

    async def _fresh(self, versions: Sequence[KeyVersion]) -> KeyEncryptionKey | None:
        """The key that this process was given and that the database has not used yet; None: the service is to make one.

        Raises:
            InvalidInput: none was given, and the service does not keep its own.
        """
        used = {one.check for one in versions if one.state is not KeyState.READY}
        found = await self._keeping.supply.found(versions)
        fresh = [one.key for one in found if one.key.check() not in used]
        if fresh:
            return fresh[0]
        if self._keeping.makes_keys:
            return None
        source, variable = self._keeping.source, self._keeping.source.variable
        following = next((one for one in found if one.origin == source.next_origin), None)
        if following is not None:
            numbers = {one.check: one.version for one in versions}
            what = f"The key in {following.origin} is version {numbers[following.key.check()]}, which this database has used before"
        else:
            what = "There is no next key"
        raise InvalidInput(
            f"{what}: set {variable}_NEXT or {variable}_NEXT_FILE to a new key (openssl rand -hex 32), for"
            " this command and for every process of the service, and start those again",
            code="no_next_key",
        )

    async def _make_ready(self, versions: Sequence[KeyVersion]) -> KeyVersion:
        """Records the next key, so that every process looks for it."""
        key = await self._fresh(versions)
        made = None
        if key is None:
            made = await self._make_key(versions)
            key = made.key
        check, now_ms = key.check(), self._clock.now_ms()

        def work(connection: Connection) -> KeyVersion:
            self._require_unsealed(connection)
            known = load_versions(connection, lock=True)
            if any(
                one.state is KeyState.REPLACED or one.check == check
                for one in known
                if one.state is not KeyState.READY
            ):
                raise _other_change()
            for one in known:
                if one.state is KeyState.READY and one.check == check:
                    return one
                if (
                    one.state is KeyState.READY
                ):  # another next key was tried before, and nothing is sealed under it
                    remove_version(connection, one.version)
            version = 1 + max(one.version for one in known)
            added = KeyVersion(
                version=version,
                state=KeyState.READY,
                check=check,
                created_at_ms=now_ms,
                backend=None if made is None or not made.wrapped else made.backend,
                wrapped=None if made is None else made.wrapped or None,
            )
            add_version(connection, added)
            return added

        ready = await self._database.write(work)
        keys = {version: self._ring.key(version) for version in self._ring.versions}
        self._ring.open({**keys, ready.version: key}, self._ring.version)
        return ready

    async def _make_key(self, versions: Sequence[KeyVersion]) -> WrappedKey:
        """Makes the next key, wrapped by the newest backend, or in the file beside the installation's own."""
        backends, source = self._keeping.backends, self._keeping.source
        if backends is not None and self._keeping.wraps:
            return await backends.make()
        await asyncio.to_thread(make_secret_file, source.next_file, self._keeping.entropy)
        key = await self._fresh(versions)
        assert key is not None  # noqa: S101 - the file was made above
        return WrappedKey(key=key, backend="", wrapped=b"")

    def _without(self, connection: Connection, version: int) -> Sequence[Replica]:
        """The live processes that do not have a version of the key."""
        live = live_replicas(connection, self._clock.now_ms())
        return [one for one in live if version not in one.versions]

    def _behind(self, connection: Connection, version: int) -> Sequence[Replica]:
        """The live processes that seal under another version."""
        live = live_replicas(connection, self._clock.now_ms())
        return [one for one in live if one.version not in {version, None}]

    async def _until_none_is_late(
        self, attempt: Callable[[], Awaitable[Sequence[Replica]]], what: str
    ) -> None:
        """Tries until no process is late.

        Raises:
            Conflict: some are for too long; the message names them.
        """
        end_s = self._clock.monotonic_s() + ACKNOWLEDGE_S
        while late := await attempt():
            if self._clock.monotonic_s() >= end_s:
                raise Conflict(f"{names_of(late)} do not have {what}", code="replica_without_key")
            await self._clock.sleep(LOOK_S)

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
                raise _other_change()
            if late := self._without(connection, ready.version):
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

    async def _reseal(self, version: int, advance: Advance) -> int:
        total = await self._database.read(lambda connection: self._count_left(connection, version))
        done, after = 0, b""
        while True:

            def work(connection: Connection, after: bytes = after) -> tuple[int, bytes | None]:
                return self._reseal_some(connection, version, after)

            count, last = await self._database.write(work)
            if last is None:
                return done
            done, after = done + count, last
            advance(done, max(total, done))

    def _reseal_some(self, connection: Connection, version: int, after: bytes) -> tuple[int, bytes | None]:
        """Seals the next rows anew; returns how many, and the id of the last tag that it looked at."""
        self._require_unsealed(connection)
        columns = tables.binding.c
        query = (
            select(columns.id, columns.row_name)
            .where(
                columns.table_name == self._holdings.kind.table,
                columns.key_version != version,
                columns.id > after,
            )
            .order_by(columns.id)
            .limit(CHUNK)
        )
        tags = connection.execute(query).all()
        if not tags:
            return 0, None
        rows = self._holdings.rows(connection, names=[tag.row_name for tag in tags], lock=True)
        sequences = self._bindings.sound(connection, rows)
        changes, fresh = [], []
        for row in rows:
            if row.name not in sequences:
                continue  # it is refused; an operator decides about it
            sealed = self._sealed_anew(row, version)
            if sealed is not None:
                changes.append((row, sealed))
            values = row.values if sealed is None else (*row.values[:-1], sealed)
            fresh.append((HeldRow(name=row.name, values=values), sequences[row.name]))
        if changes:
            self._holdings.replace(connection, changes)
        self._bindings.bind_again(connection, fresh)
        return len(fresh), tags[-1].id

    def _sealed_anew(self, row: HeldRow, version: int) -> bytes | None:
        """The row's sealed value under the version; None: it has none, or is sealed under it already."""
        sealed = row.values[-1]
        if sealed is None or self._ring.version_of(sealed) == version:
            return None
        nonce = self._keeping.entropy.token(NONCE_BYTES)
        return seal(self._ring.key(version).reveal(), self._ring.unseal(sealed), nonce)

    async def _needing(self, version: int) -> list[str]:
        """The names of the rows that need another version of the key."""

        def work(connection: Connection) -> list[str]:
            tags = self._versions_of_tags(connection)
            rows = self._holdings.rows(connection)
            return [row.name for row in rows if self._version_of(row, tags) not in {version, None}]

        return await self._database.read(work)

    def _version_of(self, row: HeldRow, tags: dict[str, int]) -> int | None:
        sealed = row.values[-1]
        found = None if sealed is None else self._ring.version_of(sealed)
        return tags.get(row.name) if found is None else found

    def _versions_of_tags(self, connection: Connection) -> dict[str, int]:
        columns = tables.binding.c
        query = select(columns.row_name, columns.key_version).where(
            columns.table_name == self._holdings.kind.table
        )
        return {row.row_name: row.key_version for row in connection.execute(query)}

    def _count_left(self, connection: Connection, version: int) -> int:
        columns = tables.binding.c
        query = select(func.count()).where(
            columns.table_name == self._holdings.kind.table, columns.key_version != version
        )
        return int(connection.execute(query).scalar_one())

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
            if self._bound_meanwhile(connection, version, left):
                return False
            if not left:
                for one in replaced:
                    set_state(connection, one, KeyState.RETIRED)
            facts = {"version": version, "rows": rows, "left": sorted(left)[:SHOWN], "retired": not left}
            self._audit.append(connection, principal, ENDED, self._holdings.kind.table, facts)
            return True

        return await self._database.write(work)

    def _bound_meanwhile(self, connection: Connection, version: int, left: Sequence[str]) -> bool:
        """Whether other rows than those that are left need another version of the key."""
        tags = self._versions_of_tags(connection)
        names = [name for name, found in tags.items() if found != version and name not in {*left}]
        rows = self._holdings.rows(connection, names=names) if names else ()
        return any(self._version_of(row, tags) not in {version, None} for row in rows)


def _other_change() -> Conflict:
    return Conflict(
        "Another change of the key-encryption key began or ended meanwhile, so this one did nothing: look at strongroom keys"
        " list, and run the command again",
        code="other_rotation",
    )
