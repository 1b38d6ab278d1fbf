"""A node that says what it was told to say, and counts what it was asked."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

OTHERWISE = "anything else"


class CannedNode:
    """An ASGI application. `answers`: from `GET /v1a/<path>` to a body, as in the recorded rows."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = dict(answers)
        self.asked: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        asked = f"{scope['method']} {scope['path']}"
        self.asked.append(f"{asked}?{unquote(scope['query_string'].decode())}")
        found = self.answers.get(asked, self.answers.get(OTHERWISE))
        body = found if isinstance(found, bytes) else json.dumps(found).encode()
        await receive()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})
