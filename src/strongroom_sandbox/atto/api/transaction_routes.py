"""Routes about transactions."""

from litestar import Controller, Response, get, post
from litestar.params import FromPath, FromQuery
from litestar.types import ASGIApp

from strongroom.atto.protocol import U64_MAX, Transaction, decode_transaction
from strongroom_sandbox.atto.api.requests import height_range, key_in_path, parse_height_search, read_body
from strongroom_sandbox.atto.api.responses import (
    FromHeight,
    NodeDependency,
    ToHeight,
    json_response,
    ndjson_response,
    stream_response,
)
from strongroom_sandbox.atto.node.node import Node
from strongroom_sandbox.atto.problems import AnyRequest
from strongroom_sandbox.atto.streaming import feeds


class TransactionRoutes(Controller):
    path = "/transactions"

    @post("/", status_code=200)
    async def publish(
        self, request: AnyRequest, node: NodeDependency, deduplicate: FromQuery[bool] = False
    ) -> Response[bytes]:
        transaction = await _publish(request, node, deduplicate)
        return json_response(node.encoder.transaction(transaction))

    @post("/stream", status_code=200)
    async def publish_and_stream(
        self, request: AnyRequest, node: NodeDependency, deduplicate: FromQuery[bool] = False
    ) -> Response[bytes]:
        """One line, and not before the confirmation: until then it can still become an error."""
        transaction = await _publish(request, node, deduplicate)
        return ndjson_response(node.encoder.transaction_line(transaction))

    @get("/stream")
    async def all_transactions(self, node: NodeDependency) -> ASGIApp:
        stream = feeds.everything(node.hub, node.hub.transactions, node.encoder.transaction_line)
        return stream_response(node, stream)

    @get("/{block_hash:str}")
    async def transaction(self, block_hash: FromPath[str], node: NodeDependency) -> Response[bytes]:
        transaction = node.chain.transaction(key_in_path(block_hash))
        return json_response(node.encoder.transaction(transaction) if transaction else None)

    @get("/{block_hash:str}/stream")
    async def one_transaction(self, block_hash: FromPath[str], node: NodeDependency) -> ASGIApp:
        key = key_in_path(block_hash)
        encode = node.encoder.transaction_line
        found = node.chain.transaction(key)
        return stream_response(node, feeds.one(node.hub, node.hub.transactions, encode, key, found))


class AccountTransactionRoutes(Controller):
    path = "/accounts"

    @post("/transactions/stream")
    async def of_some(self, request: AnyRequest, node: NodeDependency) -> ASGIApp:
        return _by_height(node, await read_body(request, parse_height_search))

    @get("/{public_key:str}/transactions/stream")
    async def of_one(
        self,
        public_key: FromPath[str],
        node: NodeDependency,
        from_height: FromHeight = 1,
        to_height: ToHeight = U64_MAX,
    ) -> ASGIApp:
        return _by_height(node, [height_range(key_in_path(public_key), from_height, to_height)])


async def _publish(request: AnyRequest, node: Node, deduplicate: bool) -> Transaction:
    transaction = await read_body(request, decode_transaction)
    return await node.elections.publish(transaction, deduplicate=deduplicate)


def _by_height(node: Node, ranges: list[feeds.HeightRange]) -> ASGIApp:
    source = feeds.HeightSource(
        topic=node.hub.transactions,
        rows=node.chain.transactions,
        slot_of=lambda transaction: (transaction.block.public_key, transaction.block.height),
        encode=node.encoder.transaction_line,
    )
    return stream_response(node, feeds.heights(node.hub, source, ranges))
