"""Answers JSON-RPC requests: the registered methods, and one session for each connection."""

from collections.abc import Callable
from typing import Any

import msgspec

from strongroom.core.clock import Entropy
from strongroom.core.json_decoder import decode_json
from strongroom_sandbox.bittensor.chain.blocks import Block
from strongroom_sandbox.bittensor.node.node import Node
from strongroom_sandbox.bittensor.state.storage import Storage

PARSE_ERROR, INVALID_REQUEST, UNKNOWN_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
UNKNOWN_BLOCK = 4003
SUBMISSIONS = {"author_submitExtrinsic", "author_submitAndWatchExtrinsic"}


class RpcError(Exception):
    """The request is answered with this error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data

    def to_json(self) -> dict[str, Any]:
        error = {"code": self.code, "message": self.message}
        return error if self.data is None else error | {"data": self.data}


class ConnectionCut(Exception):
    """A fault breaks the connection here."""


class Request(msgspec.Struct):
    method: str
    id: int | str | None = None
    params: list[Any] | None = None


class Session:
    """Answers the requests of one connection in turn, and keeps its subscriptions."""

    def __init__(self, node: Node, entropy: Entropy, send: Callable[[bytes], None]) -> None:
        self.node = node
        self._entropy = entropy
        self._send = send
        self._endings: dict[str, Callable[[], None]] = {}
        self._held: dict[str, list[bytes]] = {}
        """The notifications of subscriptions whose id the client does not know yet."""

    def answer(self, frame: str | bytes) -> None:
        """Sends the answer to a request or to a batch, then what its new subscriptions have to say.

        Raises:
            ConnectionCut: a fault.
        """
        try:
            body = decode_json(frame)
        except msgspec.DecodeError:
            self._send(_encode(_failed(None, RpcError(PARSE_ERROR, "Parse error"))))
            return
        if isinstance(body, list):
            answers = [self._answer(request) for request in body]
            self._send(_encode(answers or _failed(None, RpcError(INVALID_REQUEST, "Invalid request"))))
        else:
            self._send(_encode(self._answer(body)))
        for notifications in self._held.values():
            for notification in notifications:
                self._send(notification)
        self._held.clear()

    def subscribe(self, end: Callable[[], None]) -> str:
        """Adds a subscription. `end` is called when it or the connection ends."""
        name = self._entropy.token(8).hex()
        self._endings[name] = end
        self._held[name] = []
        return name

    def unsubscribe(self, name: Any) -> bool:
        end = self._endings.pop(name, None) if isinstance(name, str) else None
        if end is None:
            return False
        end()
        return True

    def notify(self, name: str, method: str, result: Any) -> None:
        if name not in self._endings or self.node.faults.take("drop_notifications"):
            return
        params = {"subscription": name, "result": result}
        frame = _encode({"jsonrpc": "2.0", "method": method, "params": params})
        if name in self._held:
            self._held[name].append(frame)
        else:
            self._send(frame)

    def close(self) -> None:
        for name in list(self._endings):
            self.unsubscribe(name)

    def block(self, block_hash: Any) -> Block:
        """The block of a `hash or null` parameter. What stands before genesis counts as genesis.

        Raises:
            RpcError: there is none.
        """
        chain = self.node.chain
        if block_hash is None:
            return chain.head
        wanted = read_hex(block_hash)
        found = chain.best.genesis if wanted == bytes(32) else chain.block(wanted)
        if found is None:
            raise RpcError(UNKNOWN_BLOCK, f"Client error: UnknownBlock: Header was not found: {block_hash}")
        return found

    def storage(self, block_hash: Any) -> Storage:
        """The state after the block of a `hash or null` parameter.

        Raises:
            RpcError: there is none any more.
        """
        storage = self.node.chain.storage_at(self.block(block_hash))
        if storage is None:
            message = f"Client error: UnknownBlock: State already discarded for {block_hash}"
            raise RpcError(UNKNOWN_BLOCK, message)
        return storage

    def _answer(self, body: Any) -> dict[str, Any]:
        try:
            request = msgspec.convert(body, Request)
        except msgspec.ValidationError:
            name = body.get("id") if isinstance(body, dict) else None
            return _failed(name, RpcError(INVALID_REQUEST, "Invalid request"))
        try:
            result = self._call(request.method, request.params or [])
        except RpcError as error:
            return _failed(request.id, error)
        return {"jsonrpc": "2.0", "id": request.id, "result": result}

    def _call(self, name: str, params: list[Any]) -> Any:
        faults = self.node.faults
        if refusal := faults.take_refusal(name):
            raise RpcError(refusal.code, refusal.message, refusal.data)
        if name in SUBMISSIONS and faults.take("drop_submission"):
            raise ConnectionCut
        if name not in METHODS:
            raise RpcError(UNKNOWN_METHOD, "Method not found")
        answer, most = METHODS[name]
        if len(params) > most:
            raise RpcError(INVALID_PARAMS, "Invalid params", f"expected at most {most}")
        result = answer(self, *params, *[None] * (most - len(params)))
        if name in SUBMISSIONS and faults.take("drop_reply"):
            raise ConnectionCut
        return result


METHODS: dict[str, tuple[Callable[..., Any], int]] = {}
"""The methods by name, each with how many parameters it takes; absent ones are None."""


def method(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a method under its name and its aliases."""

    def register(answer: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            METHODS[name] = (answer, answer.__code__.co_argcount - 1)
        return answer

    return register


def read_hex(text: Any) -> bytes:
    """Bytes of a parameter, with `0x` or without.

    Raises:
        RpcError: it is not hexadecimal.
    """
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except (AttributeError, ValueError):
        raise RpcError(INVALID_PARAMS, "Invalid params", "hexadecimal data expected") from None


def write_hex(data: bytes) -> str:
    return "0x" + data.hex()


def _failed(request_id: Any, error: RpcError) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "error": error.to_json()}


def _encode(frame: Any) -> bytes:
    return msgspec.json.encode(frame)
