"""Joins questions about single intents into one question about many."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from strongroom.core.intents.intent import Intent, Pending, Verdict
from strongroom.core.runtime.background import Background


class _Asked(Protocol):
    async def follow(self, intents: Sequence[Intent]) -> Mapping[bytes, Verdict]: ...


class Follows:
    """A few calls of `follow` at a time; whoever asks while they run is part of the next one.

    Some ledgers answer for all intents together and take one call at a time. Where each intent is a question of its own, a node
    that is silent about some of them must not keep all others waiting for as long as its time limit is.
    """

    def __init__(self, network: _Asked, background: Background, *, at_once: int = 1) -> None:
        self._network = network
        self._background = background
        self._at_once = at_once
        self._waiting: dict[bytes, tuple[Intent, asyncio.Future[Verdict]]] = {}
        self._asking: list[asyncio.Task[None]] = []

    async def verdict(self, intent: Intent) -> Verdict:
        """Raises: whatever `follow` raises."""
        found = self._waiting.get(intent.id)
        if found is None:
            found = intent, asyncio.get_running_loop().create_future()
            self._waiting[intent.id] = found
        self._asking = [task for task in self._asking if not task.done()]
        if len(self._asking) < self._at_once:
            self._asking.append(self._background.start(self._ask()))
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
