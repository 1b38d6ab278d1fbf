"""A receiver of callbacks."""

import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from support.serving import serving


class CallbackSink:
    """An ASGI application that stores the callbacks it gets, and refuses some of them at random."""

    def __init__(self, random_source: random.Random, *, refused: float) -> None:
        """`refused` is the share of callbacks that get 503 and must come again."""
        self._random = random_source
        self._refused = refused
        self.entries: list[dict[str, Any]] = []
        self.url = ""

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                break
        is_refused = self._random.random() < self._refused
        if not is_refused:
            self.entries.append(json.loads(body))
        await send({"type": "http.response.start", "status": 503 if is_refused else 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def told(self, address: str) -> list[dict[str, Any]]:
        """What was delivered about an account, in the order of delivery."""
        return [entry for entry in self.entries if entry["address"] == address]


@asynccontextmanager
async def running_sink(random_source: random.Random, *, refused: float = 0.0) -> AsyncIterator[CallbackSink]:
    sink = CallbackSink(random_source, refused=refused)
    async with serving(sink) as url:
        sink.url = url
        yield sink
