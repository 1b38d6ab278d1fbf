"""What the processes of a ledger agree on before its key-encryption key changes: none is left behind, and one change is made."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sqlalchemy import Connection

from strongroom.core.clock import Clock
from strongroom.core.errors import Conflict
from strongroom.core.security.custody.replicas import Replica, live_replicas, names_of

ACKNOWLEDGE_S: Final = 20.0
"""So long the rotation waits for every process: longer than a process that is gone counts as live."""
LOOK_S: Final = 0.2


class Agreement:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def live(self, connection: Connection) -> Sequence[Replica]:
        """The processes that serve the ledger now."""
        return live_replicas(connection, self._clock.now_ms())

    def without(self, connection: Connection, version: int) -> Sequence[Replica]:
        """The live processes that do not have a version of the key."""
        return [one for one in self.live(connection) if version not in one.versions]

    def behind(self, connection: Connection, version: int) -> Sequence[Replica]:
        """The live processes that seal under another version."""
        return [one for one in self.live(connection) if one.version not in {version, None}]

    async def until_none_is_late(
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


def other_change() -> Conflict:
    """Of two changes at once the second one does nothing."""
    return Conflict(
        "Another change of the key-encryption key began or ended meanwhile, so this one did nothing: look at strongroom keys"
        " list, and run the command again",
        code="other_rotation",
    )
