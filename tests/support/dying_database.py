"""A process that dies at a chosen write, without dying: from that moment on its database does nothing for it any more."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from strongroom.core.errors import StrongroomError
from strongroom.core.storage.database import ANSWER_S, Database

T = TypeVar("T")
Work = Callable[[Connection], T]


class Died(StrongroomError):
    """The process died; its callers get no answer. What it would still do when it ends meets this, as a database that is away."""

    def __init__(self) -> None:
        super().__init__("the process died")


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashPoint:
    """The first write of this name; `committed` says whether it still reaches the disk."""

    name: str
    committed: bool

    def __str__(self) -> str:
        return f"{'after' if self.committed else 'before'} {self.name}"


def crash_points(names: Iterable[str], *, but: tuple[str, ...]) -> list[CrashPoint]:
    """Before and after each kind of write, in the order of their first appearance; not of those that begin like one of `but`."""
    kinds = [name for name in dict.fromkeys(names) if not name.startswith(but)]
    return [CrashPoint(name=name, committed=committed) for name in kinds for committed in (False, True)]


class DyingDatabase(Database):
    """`names` are the writes so far. Nothing happens until `arm`."""

    def __init__(self, url: URL) -> None:
        super().__init__(url)
        self.names: list[str] = []
        self.dead = False
        self._point: CrashPoint | None = None

    def arm(self, point: CrashPoint) -> None:
        self._point = point

    async def write(self, work: Work[T], *, answer_s: float | None = ANSWER_S) -> T:
        self._require_life()
        name = (work.func if isinstance(work, partial) else work).__qualname__
        self.names.append(name)
        if self._point is not None and self._point.name == name:
            if self._point.committed:
                await super().write(work, answer_s=answer_s)
            self.dead = True
        self._require_life()
        return await super().write(work, answer_s=answer_s)

    async def read(self, work: Work[T]) -> T:
        self._require_life()
        found = await super().read(work)
        self._require_life()
        return found

    def _require_life(self) -> None:
        if self.dead:
            raise Died
