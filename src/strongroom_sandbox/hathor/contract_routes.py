"""What the node tells about contracts: its blueprint, the state of a vault, and who called it."""

from typing import Annotated, Any

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.params import FromQuery, QueryParameter

from strongroom_sandbox.hathor.contracts import (
    BLUEPRINT,
    calls,
    contents,
    describe_blueprint,
    describe_state,
)
from strongroom_sandbox.hathor.node import Node
from strongroom_sandbox.hathor.queries import transaction

MAX_CALLS = 499


def contract_routes(node: Node) -> list[Any]:
    vertices = node.chain.vertices

    @get("/v1a/nano_contract/blueprint/info")
    async def blueprint(blueprint_id: FromQuery[str]) -> Response[bytes]:
        if blueprint_id != BLUEPRINT:
            return _absent(f"Blueprint not found: {blueprint_id}")
        return _json(describe_blueprint())

    @get("/v1a/nano_contract/state")
    async def state(
        request: Request[Any, Any, Any], contract_id: Annotated[str, QueryParameter(name="id")]
    ) -> Response[bytes]:
        found = contents(vertices.values(), contract_id)
        if found is None:
            return _absent(f"Nano contract not found: {contract_id}")
        fields, tokens = (request.query_params.getall(name, []) for name in ("fields[]", "balances[]"))
        return _json(describe_state(contract_id, found, fields, tokens))

    @get("/v1a/nano_contract/history")
    async def history(
        contract_id: Annotated[str, QueryParameter(name="id")],
        count: Annotated[int, QueryParameter(ge=1, le=MAX_CALLS)] = 100,
        after: FromQuery[str | None] = None,
    ) -> Response[bytes]:
        called = [vertex.hash for vertex in reversed(calls(vertices.values(), contract_id))]
        if not called:
            return _absent(f"Nano contract not found: {contract_id}")
        if after is not None and after not in called:
            message = f"Hash {after} is not a transaction hash."
            return _json({"success": False, "error": message}, 400)
        start = 0 if after is None else called.index(after) + 1
        told = [transaction(node.chain, tx_id) for tx_id in called[start : start + count]]
        documents = [document["tx"] | {"metadata": document["meta"]} for document in told]
        body = {"success": True, "count": count, "after": after, "before": None, "history": documents}
        return _json(body)

    return [blueprint, state, history]


def _absent(what: str) -> Response[bytes]:
    return _json({"success": False, "error": what}, 404)


def _json(body: Any, status_code: int = 200) -> Response[bytes]:
    return Response(msgspec.json.encode(body), status_code=status_code, media_type=MediaType.JSON)
