"""A receiver of callbacks that answers as the test says."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from support.serving import serving

Entry = dict[str, Any]


@dataclass(slots=True)
class CallbackListener:
    """An ASGI application. `status` says how an entry is answered, `delay_s` after how long."""

    status: Callable[[Entry], int] = lambda _: 200
    delay_s: Callable[[Entry], float] = lambda _: 0.0
    requests: list[tuple[str, dict[str, str], Entry]] = field(default_factory=list)
    """Path, headers and entry of every callback, however it was answered."""
    entries: list[Entry] = field(default_factory=list)
    """What was taken, in its order."""
    url: str = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        entry = json.loads(body)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.requests.append((scope["path"], headers, entry))
        await asyncio.sleep(self.delay_s(entry))
        status = self.status(entry)
        if status in range(200, 300):
            self.entries.append(entry)
        location = [(b"location", b"/elsewhere")] if status in range(300, 400) else []
        await send({"type": "http.response.start", "status": status, "headers": location})
        await send({"type": "http.response.body", "body": b""})

    def heights(self, address: str) -> list[int]:
        """What was taken of one account."""
        return [entry["height"] for entry in self.entries if entry["address"] == address]


@asynccontextmanager
async def listening() -> AsyncIterator[CallbackListener]:
    listener = CallbackListener()
    async with serving(listener) as url:
        listener.url = url
        yield listener
