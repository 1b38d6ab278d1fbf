"""The node's API as an application: the event queue, transactions, tokens, the graph, and the sandbox's own routes."""

from typing import Annotated, Any

import msgspec
from litestar import Litestar, MediaType, Request, Response, WebSocket, get, post, websocket
from litestar.params import FromQuery, QueryParameter

from strongroom.core.json_decoder import decode_json
from strongroom_sandbox.hathor.contract_routes import contract_routes
from strongroom_sandbox.hathor.event_stream import Subscriptions
from strongroom_sandbox.hathor.mining import Miner, mining_routes
from strongroom_sandbox.hathor.node import Node
from strongroom_sandbox.hathor.queries import confirmation, neighbours, token, transaction
from strongroom_sandbox.hathor.rules import RejectedError

MAX_PAGE = 1_000
MAX_BLOCKS = 1_000
"""That one call makes: the node answers nobody meanwhile."""
AnyRequest = Request[Any, Any, Any]


class PushBody(msgspec.Struct, frozen=True):
    hex_tx: str
    force: bool = False


class FaucetBody(msgspec.Struct, frozen=True):
    address: str
    value: int


class MineBody(msgspec.Struct, frozen=True):
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_BLOCKS)] = 1
    address: str | None = None


class FaultBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is absent stays as it is."""

    skip_events: int | None = None
    repeat_events: int | None = None
    silent: bool | None = None
    latency_ms: int | None = None
    pages_down: int | None = None
    push_lost: int | None = None
    drop_streams: bool = False
    stream_id: str | None = None
    peer_id: str | None = None
    network: str | None = None


def create_node_app(node: Node, subscriptions: Subscriptions | None = None) -> Litestar:
    """Every route that the service and its clients use of a node, under `/v1a`."""
    subscriptions = subscriptions or Subscriptions(node.chain.journal)
    handlers = [
        *_event_routes(node, subscriptions),
        *_state_routes(node),
        *_transaction_routes(node),
        *contract_routes(node),
        *mining_routes(Miner(node)),
        *_sandbox_routes(node),
        _fault_route(node, subscriptions),
    ]
    return Litestar(route_handlers=handlers, openapi_config=None, logging_config=None)


def _json(body: Any, status_code: int = 200) -> Response[bytes]:
    return Response(msgspec.json.encode(body), status_code=status_code, media_type=MediaType.JSON)


def _event_routes(node: Node, subscriptions: Subscriptions) -> list[Any]:
    journal = node.chain.journal

    @get("/v1a/event")
    async def page(
        size: Annotated[int, QueryParameter(ge=0, le=MAX_PAGE)] = 100,
        last_ack_event_id: FromQuery[int | None] = None,
    ) -> Response[bytes]:
        if node.faults.pages_down > 0:
            node.faults.pages_down -= 1
            return _json({"error": "unavailable"}, 503)
        after = -1 if last_ack_event_id is None else last_ack_event_id
        return Response(journal.page(after, size), media_type=MediaType.JSON)

    @websocket("/v1a/event_ws")
    async def stream(socket: WebSocket[Any, Any, Any]) -> None:
        await subscriptions.serve(socket, node)

    return [page, stream]


def _state_routes(node: Node) -> list[Any]:
    @get("/v1a/version")
    async def version() -> Response[bytes]:
        return _json(
            {
                "version": "0.72.0",
                "network": node.chain.journal.network,
                "nano_contracts_enabled": True,
                "min_weight": 1,
                "min_tx_weight": node.weights.minimum,
                "min_tx_weight_coefficient": node.weights.coefficient,
                "min_tx_weight_k": node.weights.k,
                "token_deposit_percentage": 0.01,
                "reward_spend_min_blocks": node.chain.reward_spend_min_blocks,
                "max_number_inputs": 255,
                "max_number_outputs": 255,
                "decimal_places": 2,
                "genesis_block_hash": next(iter(node.chain.vertices), None),
                "native_token": {"name": "Hathor", "symbol": "HTR"},
            }
        )

    @get("/v1a/status")
    async def status() -> Response[bytes]:
        best = {"hash": node.chain.best, "height": node.chain.height}
        return _json(
            {"server": {"state": "READY", "network": node.chain.journal.network}, "dag": {"best_block": best}}
        )

    @get("/v1a/health")
    async def health() -> Response[bytes]:
        return _json({"status": "pass", "description": "Sandbox node", "checks": {}})

    return [version, status, health]


def _transaction_routes(node: Node) -> list[Any]:
    @post("/v1a/push_tx", status_code=200)
    async def push(request: AnyRequest) -> Response[bytes]:
        try:
            body = decode_json(await request.body(), PushBody)
            vertex = node.push(bytes.fromhex(body.hex_tx))
        except (RejectedError, ValueError) as error:
            return _json({"success": False, "message": str(error), "can_force": False})
        if node.faults.push_lost > 0:
            node.faults.push_lost -= 1
            return _json({"error": "lost"}, 500)
        return _json({"success": True, "message": "", "tx": vertex.to_json(node.chain.spent(vertex))})

    @get("/v1a/transaction")
    async def read(tx_id: Annotated[str, QueryParameter(name="id")]) -> Response[bytes]:
        return _json(transaction(node.chain, tx_id))

    @get("/v1a/transaction_acc_weight")
    async def weight(tx_id: Annotated[str, QueryParameter(name="id")]) -> Response[bytes]:
        return _json(confirmation(node.chain, tx_id))

    @get("/v1a/thin_wallet/token")
    async def token_details(token_id: Annotated[str, QueryParameter(name="id")]) -> Response[bytes]:
        return _json(token(node.chain, token_id))

    @get("/v1a/graphviz/neighbours.dot")
    async def graph(
        tx: FromQuery[str], graph_type: FromQuery[str] = "funds", max_level: FromQuery[int] = 2
    ) -> Response[bytes]:
        return _json(neighbours(node.chain, tx, graph_type, max_level))

    return [push, read, weight, token_details, graph]


def _sandbox_routes(node: Node) -> list[Any]:
    @post("/_faucet", status_code=200)
    async def faucet(request: AnyRequest) -> Response[bytes]:
        try:
            body = decode_json(await request.body(), FaucetBody)
            vertex = node.faucet(body.address, body.value)
        except (RejectedError, ValueError) as error:
            return _json({"success": False, "message": str(error)}, 400)
        return _json({"success": True, "hash": vertex.hash})

    @post("/_mine", status_code=200)
    async def mine(request: AnyRequest) -> Response[bytes]:
        try:
            body = decode_json(await request.body() or b"{}", MineBody)
            blocks = [node.mine(body.address).hash for _ in range(body.count)]
        except ValueError as error:
            return _json({"success": False, "message": str(error)}, 400)
        return _json({"blocks": blocks})

    return [faucet, mine]


def _fault_route(node: Node, subscriptions: Subscriptions) -> Any:
    @post("/_fault", status_code=200)
    async def fault(request: AnyRequest) -> Response[bytes]:
        try:
            body = decode_json(await request.body(), FaultBody)
        except msgspec.DecodeError as error:
            return _json({"success": False, "message": str(error)}, 400)
        for name in ("skip_events", "repeat_events", "silent", "latency_ms", "pages_down", "push_lost"):
            if (value := getattr(body, name)) is not None:
                setattr(node.faults, name, value)
        for name in ("stream_id", "peer_id", "network"):
            if (text := getattr(body, name)) is not None:
                setattr(node.chain.journal, name, text)
        if body.drop_streams:
            subscriptions.cut_all()
        subscriptions.wake()
        return _json({"streams": subscriptions.count})

    return fault
