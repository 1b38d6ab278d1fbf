"""Routes about accounts, their receivables and their entries."""

from typing import Annotated

from litestar import Controller, Response, get, post
from litestar.params import FromPath, QueryParameter
from litestar.types import ASGIApp

from strongroom.atto.protocol import U64_MAX
from strongroom_sandbox.atto.api.requests import (
    height_range,
    key_in_path,
    parse_account_search,
    parse_height_search,
    read_body,
)
from strongroom_sandbox.atto.api.responses import (
    FromHeight,
    NodeDependency,
    ToHeight,
    json_array,
    json_response,
    stream_response,
)
from strongroom_sandbox.atto.node.node import Node
from strongroom_sandbox.atto.problems import AnyRequest
from strongroom_sandbox.atto.streaming import feeds

MinAmount = Annotated[int, QueryParameter(name="minAmount", ge=0)]
_TOP = 100


class AccountRoutes(Controller):
    path = "/accounts"

    @get("/{public_key:str}")
    async def account(self, public_key: FromPath[str], node: NodeDependency) -> Response[bytes]:
        state = node.chain.account(key_in_path(public_key))
        return json_response(node.encoder.account(state) if state else None)

    @post("/", status_code=200)
    async def accounts(self, request: AnyRequest, node: NodeDependency) -> Response[bytes]:
        public_keys = await read_body(request, parse_account_search)
        return json_array(map(node.encoder.account, node.chain.accounts(public_keys)))

    @get("/top")
    async def top(self, node: NodeDependency) -> Response[bytes]:
        return json_array(map(node.encoder.account, node.chain.richest(_TOP)))

    @get("/stream")
    async def all_accounts(self, node: NodeDependency) -> ASGIApp:
        stream = feeds.everything(node.hub, node.hub.accounts, node.encoder.account_line)
        return stream_response(node, stream)

    @post("/stream")
    async def some_accounts(self, request: AnyRequest, node: NodeDependency) -> ASGIApp:
        public_keys = await read_body(request, parse_account_search)
        return _accounts(node, public_keys)

    @get("/{public_key:str}/stream")
    async def one_account(self, public_key: FromPath[str], node: NodeDependency) -> ASGIApp:
        return _accounts(node, [key_in_path(public_key)])


class ReceivableRoutes(Controller):
    path = "/accounts"

    @post("/receivables/stream")
    async def of_some(self, request: AnyRequest, node: NodeDependency, min_amount: MinAmount = 1) -> ASGIApp:
        public_keys = await read_body(request, parse_account_search)
        return _receivables(node, public_keys, min_amount)

    @get("/{public_key:str}/receivables/stream")
    async def of_one(
        self, public_key: FromPath[str], node: NodeDependency, min_amount: MinAmount = 1
    ) -> ASGIApp:
        return _receivables(node, [key_in_path(public_key)], min_amount)


class EntryRoutes(Controller):
    path = "/accounts"

    @get("/entries/stream")
    async def all_entries(self, node: NodeDependency) -> ASGIApp:
        stream = feeds.everything(node.hub, node.hub.entries, node.encoder.entry_line)
        return stream_response(node, stream)

    @get("/entries/{block_hash:str}/stream")
    async def one_entry(self, block_hash: FromPath[str], node: NodeDependency) -> ASGIApp:
        key = key_in_path(block_hash)
        encode = node.encoder.entry_line
        return stream_response(
            node, feeds.one(node.hub, node.hub.entries, encode, key, node.chain.entry(key))
        )

    @post("/entries/stream")
    async def of_some(self, request: AnyRequest, node: NodeDependency) -> ASGIApp:
        return _entries(node, await read_body(request, parse_height_search))

    @get("/{public_key:str}/entries/stream")
    async def of_one(
        self,
        public_key: FromPath[str],
        node: NodeDependency,
        from_height: FromHeight = 1,
        to_height: ToHeight = U64_MAX,
    ) -> ASGIApp:
        return _entries(node, [height_range(key_in_path(public_key), from_height, to_height)])


def _accounts(node: Node, public_keys: list[bytes]) -> ASGIApp:
    stream = feeds.accounts(node.hub, node.chain, node.encoder.account_line, public_keys)
    return stream_response(node, stream)


def _receivables(node: Node, public_keys: list[bytes], min_amount: int) -> ASGIApp:
    encode = node.encoder.receivable_line
    return stream_response(node, feeds.receivables(node.hub, node.chain, encode, public_keys, min_amount))


def _entries(node: Node, ranges: list[feeds.HeightRange]) -> ASGIApp:
    source = feeds.HeightSource(
        topic=node.hub.entries,
        rows=node.chain.entries,
        slot_of=lambda entry: (entry.public_key, entry.height),
        encode=node.encoder.entry_line,
    )
    return stream_response(node, feeds.heights(node.hub, source, ranges))
