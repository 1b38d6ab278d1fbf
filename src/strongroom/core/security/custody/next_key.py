"""The next key-encryption key of a ledger: where it comes from, and its version, for which every process looks."""

import asyncio
from collections.abc import Sequence

from sqlalchemy import Connection

from strongroom.core.errors import InvalidInput
from strongroom.core.security.custody.agreement import other_change
from strongroom.core.security.custody.backends import WrappedKey
from strongroom.core.security.custody.keeping import Keeping
from strongroom.core.security.custody.seal import require_unsealed
from strongroom.core.security.keys.local import make_secret_file
from strongroom.core.security.keys.ring import KeyRing
from strongroom.core.security.keys.versions import (
    KeyState,
    KeyVersion,
    add_version,
    load_versions,
    remove_version,
)
from strongroom.core.security.vault import KeyEncryptionKey


class NextKey:
    def __init__(self, keeping: Keeping, ring: KeyRing) -> None:
        """The ring is open."""
        self._keeping = keeping
        self._ring = ring

    @property
    def where(self) -> str:
        """Where a process finds the key, in words."""
        source = self._keeping.source
        if self._keeping.wraps:
            return f"{source.backend_variable} as this command has it"
        if source.given is None:
            return f"the file {source.next_file.name} in their data folder"
        return f"{source.variable}_NEXT or {source.variable}_NEXT_FILE"

    async def fresh(self, versions: Sequence[KeyVersion]) -> KeyEncryptionKey | None:
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

    async def make_ready(self, versions: Sequence[KeyVersion]) -> KeyVersion:
        """Records the next key, so that every process looks for it.

        Raises:
            Conflict: another change began or ended meanwhile.
        """
        key = await self.fresh(versions)
        made = None
        if key is None:
            made = await self._make_key(versions)
            key = made.key
        check, now_ms = key.check(), self._keeping.clock.now_ms()

        def work(connection: Connection) -> KeyVersion:
            require_unsealed(connection, self._keeping.holdings.kind.table)
            known = load_versions(connection, lock=True)
            if any(
                one.state is KeyState.REPLACED or one.check == check
                for one in known
                if one.state is not KeyState.READY
            ):
                raise other_change()
            for one in known:
                if one.state is KeyState.READY and one.check == check:
                    return one
                # Another next key was tried before, and nothing is sealed under it.
                if one.state is KeyState.READY:
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

        ready = await self._keeping.database.write(work)
        keys = {version: self._ring.key(version) for version in self._ring.versions}
        self._ring.open({**keys, ready.version: key}, self._ring.version)
        return ready

    async def _make_key(self, versions: Sequence[KeyVersion]) -> WrappedKey:
        """Makes the next key, wrapped by the newest backend, or in the file beside the installation's own."""
        backends, source = self._keeping.backends, self._keeping.source
        if backends is not None and self._keeping.wraps:
            return await backends.make()
        await asyncio.to_thread(make_secret_file, source.next_file, self._keeping.entropy)
        key = await self.fresh(versions)
        assert key is not None  # noqa: S101 - the file was made above
        return WrappedKey(key=key, backend="", wrapped=b"")
