"""The toy chain and a node of it over HTTP, with the moments in which a service can be killed."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from strongroom_toy.protocol import SignedTransfer
from support.serving import serving

GENESIS_BALANCE = 1_000
Mood = Literal["late", "refuses"]
"""Late: it answers 503, and the transfer arrives when `deliver` is called. Refuses: without looking at it."""


@dataclass(slots=True)
class ToyChain:
    """Every address has 1,000 to begin with. `taken` is the truth: what was paid, in order."""

    taken: list[SignedTransfer] = field(default_factory=list)

    def next_number(self, address: str) -> int:
        return sum(one.transfer.sender == address for one in self.taken)

    def balance(self, address: str) -> int:
        transfers = [one.transfer for one in self.taken]
        received = sum(one.amount for one in transfers if one.receiver == address)
        return GENESIS_BALANCE + received - sum(one.amount for one in transfers if one.sender == address)

    def has(self, transfer_id: str) -> bool:
        return any(one.id.hex() == transfer_id for one in self.taken)

    def submit(self, payload: bytes) -> str | None:
        """None: the chain has it, now or before; else why it refuses."""
        signed = SignedTransfer.parse(payload)
        if self.has(signed.id.hex()):
            return None
        if not signed.is_signed():
            return "wrong signature"
        if signed.transfer.number != self.next_number(signed.transfer.sender):
            return "wrong number"
        if signed.transfer.amount > self.balance(signed.transfer.sender):
            return "not enough"
        self.taken.append(signed)
        return None


class ToyNode:
    """An ASGI application that can fall silent: it then answers no request, and a deaf one does not read requests either."""

    def __init__(self, chain: ToyChain) -> None:
        self.chain = chain
        self.url = ""
        self._is_deaf = False
        self._answers = asyncio.Event()
        self._answers.set()
        self.asked = asyncio.Event()
        """A transfer was submitted."""
        self.moods: deque[Mood] = deque()
        """Each befalls one submitted transfer, in their order."""
        self._late: list[bytes] = []

    def fall_silent(self, *, deaf: bool) -> None:
        self._is_deaf = deaf
        self._answers.clear()

    def recover(self) -> None:
        self._is_deaf = False
        self._answers.set()

    def deliver(self) -> list[str | None]:
        """What was late arrives; returns why the chain refuses each."""
        late, self._late = self._late, []
        return [self.chain.submit(payload) for payload in late]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        method, path = scope["method"], scope["path"]
        if method == "POST":
            status, document = await self._submit(await _body(receive))
        elif path.startswith("/transfers/"):
            status, document = (200 if self.chain.has(path.rpartition("/")[2]) else 404), {}
        else:
            address = path.rpartition("/")[2]
            document = {
                "next_number": self.chain.next_number(address),
                "balance": self.chain.balance(address),
            }
            status = 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(document).encode()})

    async def _submit(self, payload: bytes) -> tuple[int, dict[str, Any]]:
        if self._is_deaf:
            self.asked.set()
            await self._answers.wait()
            return 503, {}
        mood = self.moods.popleft() if self.moods else None
        if mood == "late":
            self._late.append(payload)
            return 503, {}
        if mood == "refuses":
            self.asked.set()
            return 409, {"error": "not now"}
        refusal = self.chain.submit(payload)
        self.asked.set()
        await self._answers.wait()
        return (200, {}) if refusal is None else (409, {"error": refusal})


@asynccontextmanager
async def running_toy_node() -> AsyncIterator[ToyNode]:
    node = ToyNode(ToyChain())
    async with serving(node) as node.url:
        yield node


async def _body(receive: Any) -> bytes:
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    return body
