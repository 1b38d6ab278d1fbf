"""Joins questions about single intents into one question about many."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from strongroom.core.intents.intent import Intent, Pending, Verdict
from strongroom.core.runtime.background import Background


class _Asked(Protocol):
    async def follow(self, intents: Sequence[Intent]) -> Mapping[bytes, Verdict]: ...


class Follows:
    """One call of `follow` at a time; whoever asks meanwhile is part of the next one."""

    def __init__(self, network: _Asked, background: Background) -> None:
        self._network = network
        self._background = background
        self._waiting: dict[bytes, tuple[Intent, asyncio.Future[Verdict]]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def verdict(self, intent: Intent) -> Verdict:
        """Raises: whatever `follow` raises."""
        found = self._waiting.get(intent.id)
        if found is None:
            found = intent, asyncio.get_running_loop().create_future()
            self._waiting[intent.id] = found
        if self._asking is None or self._asking.done():
            self._asking = self._background.start(self._ask())
        return await asyncio.shield(found[1])

    async def _ask(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, {}
            try:
                verdicts = await self._network.follow([intent for intent, _ in batch.values()])
            except Exception as error:  # noqa: BLE001 - it belongs to those who asked
                for _, answer in batch.values():
                    _give(answer, error)
                continue
            for intent, answer in batch.values():
                _give(answer, verdicts.get(intent.id, Pending(stage=intent.stage)))


def _give(answer: asyncio.Future[Verdict], what: Verdict | Exception) -> None:
    if answer.done():
        return
    if isinstance(what, Exception):
        answer.set_exception(what)
        answer.exception()  # asyncio complains of one that nobody asked for; a caller that is gone does not
    else:
        answer.set_result(what)
