"""What a node's answers to a push, and to the question for a transaction, are taken for."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from strongroom.hathor.gateway import NodeUnavailable
from strongroom.hathor.gateway.push import HttpPushNode, NotDelivered, Presence
from support.ports import free_port
from support.serving import serving

pytestmark = pytest.mark.anyio


class Answers:
    """An application that says one thing to everything."""

    def __init__(self) -> None:
        self.status, self.body = 200, b""
        self.asked: list[tuple[str, str, bytes]] = []

    def say(self, document: object, status: int = 200) -> None:
        self.status = status
        self.body = document if isinstance(document, bytes) else json.dumps(document).encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        self.asked.append((scope["method"], f"{scope['path']}?{scope['query_string'].decode()}", body))
        headers = [(b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


@pytest.fixture
async def answers() -> Answers:
    return Answers()


@pytest.fixture
async def node(answers: Answers) -> AsyncIterator[HttpPushNode]:
    async with serving(answers) as url:
        node = HttpPushNode(f"{url}/v1a/")
        yield node
        await node.close()


async def test_taken_and_refused(answers: Answers, node: HttpPushNode) -> None:
    answers.say({"success": True, "message": "", "tx": {"hash": "aa"}})
    assert await node.push(b"\1\2") is None
    method, path, body = answers.asked[0]
    assert (method, path, json.loads(body)) == (
        "POST",
        "/v1a/push_tx?",
        {"hex_tx": "0102", "force": False},
    )
    answers.say({"success": False, "message": "Transaction already exists", "can_force": False})
    assert await node.push(b"") == "Transaction already exists"


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"success": False, "message": "down"}, 500),
        ({"success": False, "message": "slow down"}, 429),
        (b"<html>", 200),
        ({"message": "no verdict"}, 200),
        ({"success": "yes"}, 200),
        (b"\xff", 200),
    ],
)
async def test_what_is_no_verdict(
    answers: Answers, node: HttpPushNode, document: object, status: int
) -> None:
    answers.say(document, status)
    with pytest.raises(NodeUnavailable) as push:
        await node.push(b"")
    assert not isinstance(push.value, NotDelivered)
    with pytest.raises(NodeUnavailable):
        await node.presence("aa")


async def test_whether_the_node_has_it(answers: Answers, node: HttpPushNode) -> None:
    for meta, presence in (
        ({"voided_by": []}, Presence.LIVE),
        ({"voided_by": None}, Presence.LIVE),
        ({"voided_by": ["aa"]}, Presence.VOIDED),
    ):
        answers.say({"success": True, "tx": {}, "meta": meta})
        assert await node.presence("aa") is presence
    answers.say({"success": False, "message": "Transaction not found"})
    assert await node.presence("aa") is Presence.ABSENT
    answers.say({"success": False, "message": "Invalid hash"})
    with pytest.raises(NodeUnavailable):
        await node.presence("aa")
    assert answers.asked[0][1] == "/v1a/transaction?id=aa"


async def test_a_node_without_an_index_of_wallets_is_asked_otherwise() -> None:
    async def application(scope: Any, _receive: Any, send: Any) -> None:
        has_it = scope["path"].endswith("_acc_weight")
        known = {"success": True, "accumulated_weight": 9.0}
        body = json.dumps(known if has_it else {"success": False, "message": "wallet index is disabled"})
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200 if has_it else 503, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode(), "more_body": False})

    async with serving(application) as url:
        node = HttpPushNode(f"{url}/v1a/")
        assert await node.presence("aa") is Presence.LIVE
        await node.close()


async def test_nobody_there() -> None:
    node = HttpPushNode(f"http://127.0.0.1:{free_port()}/v1a/")
    with pytest.raises(NotDelivered):
        await node.push(b"")
    await node.close()
