"""A full node that takes, refuses or loses transactions as the test says."""

from collections.abc import Callable

from strongroom.hathor.gateway import NodeUnavailable
from strongroom.hathor.gateway.push import NotDelivered, Presence
from strongroom.hathor.protocol.transactions import parse_transaction


class ScriptedNode:
    """Takes everything, unless `answers` says otherwise: one for each push, called before the node takes it."""

    def __init__(self) -> None:
        self.away = False
        self.pushed: list[bytes] = []
        self.asked: list[str] = []
        self.has: dict[str, Presence] = {}
        self.answers: list[Callable[[bytes], str | None]] = []

    async def push(self, raw: bytes) -> str | None:
        if self.away:
            raise NotDelivered("The node is away")
        self.pushed.append(raw)
        if self.answers and (refusal := self.answers.pop(0)(raw)) is not None:
            return refusal
        self.take(raw)
        return None

    async def presence(self, tx_id: str) -> Presence:
        if self.away:
            raise NodeUnavailable("The node is away")
        self.asked.append(tx_id)
        return self.has.get(tx_id, Presence.ABSENT)

    def take(self, raw: bytes) -> None:
        self.has[parse_transaction(raw).id] = Presence.LIVE

    def lose_answer(self, raw: bytes) -> str | None:
        """The transaction arrives, the answer does not."""
        self.take(raw)
        raise NodeUnavailable("cut")

    @staticmethod
    def lose_push(_raw: bytes) -> str | None:
        """Nothing arrives, and nobody can tell."""
        raise NodeUnavailable("cut")
