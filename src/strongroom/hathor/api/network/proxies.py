"""Routes that pass a question on to the full node, and its answer back as it is."""

from typing import Any

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency
from msgspec import UNSET, UnsetType

from strongroom.core.json_decoder import decode_json
from strongroom.hathor.api.answers import JSON, Answer, ProxiedResponse
from strongroom.hathor.api.network.node import REFUSED, NodeView
from strongroom.hathor.api.refusal import Refusal
from strongroom.hathor.api.requests import Request, read_query
from strongroom.hathor.api.terms import Access, Terms
from strongroom.hathor.api.validation import Key, Schema, number, text
from strongroom.hathor.gateway.node import Query

TRANSACTION = Schema(keys={"txId": Key(check=text(alphanumeric=True), required=True)})
GRAPH = Schema(
    keys={
        "txId": Key(check=text(alphanumeric=True), required=True),
        "graphType": Key(check=text(alphanumeric=True), required=True),
        "maxLevel": Key(check=number(), required=True),
    }
)
LISTS = ("fields", "balances", "calls")
STATE = Schema(
    keys={
        "id": Key(check=text(), required=True),
        **{name: Key(check=text(), items=True) for name in LISTS},
        "block_hash": Key(check=text()),
        "block_height": Key(check=number()),
        "timestamp": Key(check=number()),
    },
    first_only=True,
)
HISTORY = Schema(
    keys={
        "id": Key(check=text(), required=True),
        "count": Key(check=number()),
        "after": Key(check=text()),
        "before": Key(check=text()),
    },
    first_only=True,
)
BLUEPRINT = Schema(keys={"blueprint_id": Key(check=text(), required=True)}, first_only=True)


class NodeAnswer(msgspec.Struct):
    """The full node's own answer; what else is in it is in the node's documentation. `success` may be false."""

    success: bool | UnsetType = UNSET


class ProxyController(Controller):
    """The node's answers pass as they are."""

    path = "/wallet/proxy"
    tags = ("Full node",)

    @get(
        "/transactions/{txId:str}",
        summary="A transaction",
        opt=Terms(access=Access.TOKEN, path=TRANSACTION, amounts=True).opt,
        responses=REFUSED,
    )
    async def transaction(self, request: Request, node_view: NamedDependency[NodeView]) -> Answer[NodeAnswer]:
        tx_id = TRANSACTION.check(request.path_params)["txId"]
        return _with_amounts(await node_view.node.get("transaction", {"id": tx_id}))

    @get(
        "/transactions/{txId:str}/confirmation_data",
        summary="How far a transaction is confirmed",
        opt=Terms(access=Access.TOKEN, path=TRANSACTION).opt,
        responses=REFUSED,
    )
    async def confirmation(
        self, request: Request, node_view: NamedDependency[NodeView]
    ) -> ProxiedResponse[NodeAnswer]:
        tx_id = TRANSACTION.check(request.path_params)["txId"]
        return ProxiedResponse(await node_view.node.get("transaction_acc_weight", {"id": tx_id}))

    @get(
        "/graphviz/neighbours",
        summary="The graph around a transaction: DOT in a string, or the node's refusal",
        opt=Terms(access=Access.TOKEN, query=GRAPH).opt,
        responses=REFUSED,
    )
    async def neighbours(
        self, request: Request, node_view: NamedDependency[NodeView]
    ) -> ProxiedResponse[str | NodeAnswer]:
        """The graph's text as a JSON string, whether the node wrapped it so or not."""
        asked = GRAPH.check(read_query(request), convert=True)
        query = {
            "tx": asked["txId"],
            "graph_type": asked["graphType"],
            "max_level": f"{asked['maxLevel']:g}",
        }
        graph = await node_view.node.get_text("graphviz/neighbours.dot/", query)
        return ProxiedResponse(
            graph if _is_json(graph) else msgspec.json.encode(graph.decode(errors="replace"))
        )

    @get(
        "/nano_contract/state",
        summary="A contract's state",
        opt=Terms(access=Access.TOKEN, query=STATE).opt,
        responses=REFUSED,
    )
    async def contract_state(
        self, request: Request, node_view: NamedDependency[NodeView]
    ) -> ProxiedResponse[NodeAnswer]:
        """A list comes as a repeated key, `fields` or `fields[]`; the node knows the second form."""
        asked: dict[str, Any] = read_query(request)
        for name in LISTS:
            values = [value for key in (name, f"{name}[]") for value in request.query_params.getall(key, [])]
            asked.pop(f"{name}[]", None)
            if values:
                asked[name] = values
        checked = _of_contract(STATE, asked)
        query = {f"{name}[]" if name in LISTS else name: value for name, value in checked.items()}
        return ProxiedResponse(await node_view.node.get("nano_contract/state", _given(query)))

    @get(
        "/nano_contract/history",
        summary="A contract's calls",
        opt=Terms(access=Access.TOKEN, query=HISTORY, amounts=True).opt,
        responses=REFUSED,
    )
    async def contract_history(
        self, request: Request, node_view: NamedDependency[NodeView]
    ) -> Answer[NodeAnswer]:
        checked = _of_contract(HISTORY, read_query(request))
        return _with_amounts(await node_view.node.get("nano_contract/history", _given(checked)))

    @get(
        "/nano_contract/blueprint/info",
        summary="A blueprint",
        opt=Terms(access=Access.TOKEN, query=BLUEPRINT).opt,
        responses=REFUSED,
    )
    async def blueprint(
        self, request: Request, node_view: NamedDependency[NodeView]
    ) -> ProxiedResponse[NodeAnswer]:
        checked = _of_contract(BLUEPRINT, read_query(request))
        return ProxiedResponse(await node_view.node.get("nano_contract/blueprint/info", _given(checked)))


def _with_amounts(body: bytes) -> Answer[NodeAnswer]:
    answer: Answer[Any] = Answer(body, media_type=JSON)
    return answer


def _of_contract(schema: Schema, query: dict[str, Any]) -> dict[str, Any]:
    """The original names no error on these routes. Raises: Refusal."""
    try:
        return schema.check(query, convert=True)
    except Refusal as refusal:
        raise Refusal(refusal.status, None, **refusal.extras) from refusal


def _given(query: dict[str, Any]) -> Query:
    return {
        name: value if isinstance(value, list) else str(value)
        for name, value in query.items()
        if value is not None
    }


def _is_json(body: bytes) -> bool:
    try:
        decode_json(body)
    except msgspec.DecodeError:
        return False
    return True
