"""What the node tells about transactions and tokens."""

from typing import Any

from strongroom_sandbox.hathor.chain import Chain
from strongroom_sandbox.hathor.contracts import describe_call
from strongroom_sandbox.hathor.vertices import Output, Vertex

MINT = 1
MELT = 2
AUTHORITY = 0x80
MAX_GRAPH_LEVEL = 3
NOT_FOUND = {"success": False, "message": "Transaction not found"}


def transaction(chain: Chain, tx_id: str) -> dict[str, Any]:
    vertex = chain.vertices.get(tx_id)
    if vertex is None:
        return dict(NOT_FOUND)
    spent: dict[int, list[str]] = {}
    for index in range(len(vertex.outputs)):
        if spenders := chain.spenders.get((tx_id, index)):
            spent[index] = list(spenders)
    data = vertex.to_json(chain.spent(vertex))
    meta = data.pop("metadata") | {
        "spent_outputs": [[index, ids] for index, ids in spent.items()],
        "children": [],
    }
    return {
        "success": True,
        "tx": data | _flat(chain, vertex),
        "meta": meta,
        "spent_outputs": {str(index): ids[0] for index, ids in spent.items()},
    }


def _flat(chain: Chain, vertex: Vertex) -> dict[str, Any]:
    """Where this document differs from that of an event: inputs are the outputs they spend, tokens have names."""
    inputs = []
    for tx_id, index in vertex.inputs:
        source = chain.vertices[tx_id]
        inputs.append({"tx_id": tx_id, "index": index, **_output(source, source.outputs[index])})
    outputs = []
    for index, output in enumerate(vertex.outputs):
        spender = chain.live_spender((vertex.hash, index))
        outputs.append(_output(vertex, output) | {"spent_by": None if spender is None else spender.hash})
    return {
        "nonce": str(vertex.nonce),
        "inputs": inputs,
        "outputs": outputs,
        "tokens": [_named(chain, vertex, token_id) for token_id in vertex.tokens],
        "raw": vertex.raw.hex(),
        **describe_call(vertex),
    }


def _output(vertex: Vertex, output: Output) -> dict[str, Any]:
    document = output.to_json() | {"token": vertex.token_id(output.token_data)}
    document["decoded"] |= {"value": output.value, "token_data": output.token_data}
    return document


def _named(chain: Chain, vertex: Vertex, token_id: str) -> dict[str, Any]:
    created = chain.vertices.get(token_id, vertex)
    return {"uid": token_id, "name": created.token_name or "", "symbol": created.token_symbol or ""}


def confirmation(chain: Chain, tx_id: str) -> dict[str, Any]:
    """How deep a transaction lies: `stop_value` only once it is in a block, as the node does it."""
    vertex = chain.vertices.get(tx_id)
    if vertex is None:
        return dict(NOT_FOUND)
    block = chain.vertices.get(vertex.first_block or "")
    answer: dict[str, Any] = {
        "success": True,
        "accumulated_weight": vertex.weight,
        "accumulated_bigger": False,
        "confirmation_level": 0.0,
    }
    if block is not None:
        level = min(1.0, (chain.height - block.height + 1) / 6)
        answer |= {"stop_value": vertex.weight, "accumulated_bigger": level >= 1, "confirmation_level": level}
    return answer


def token(chain: Chain, token_id: str) -> dict[str, Any]:
    created = chain.vertices.get(token_id)
    if created is None or not created.live or created.token_name is None:
        return {"success": False, "message": "Unknown token"}
    total, named, authorities = 0, 0, 0
    for vertex in chain.vertices.values():
        if not vertex.live:
            continue
        named += token_id in vertex.tokens  # whatever it does with the token: so the node counts
        for index, output in enumerate(vertex.outputs):
            if vertex.token_id(output.token_data) != token_id:
                continue
            if chain.live_spender((vertex.hash, index)) is not None:
                continue
            if output.token_data & AUTHORITY:
                authorities |= output.value
            else:
                total += output.value
    return {
        "success": True,
        "name": created.token_name,
        "symbol": created.token_symbol,
        "version": created.token_version,
        "total": total,
        "transactions_count": named,
        "can_mint": bool(authorities & MINT),
        "can_melt": bool(authorities & MELT),
        "mint": [],
        "melt": [],
    }


def neighbours(chain: Chain, tx_id: str, graph_type: str, max_level: int) -> str | dict[str, Any]:
    """The graph around a transaction as DOT text; of an unknown one the node's refusal."""
    if tx_id not in chain.vertices:
        return dict(NOT_FOUND)
    edges: set[tuple[str, str]] = set()
    level = {tx_id}
    for _ in range(min(max_level, MAX_GRAPH_LEVEL)):
        following: set[str] = set()
        for current in level:
            vertex = chain.vertices.get(current)
            if vertex is None:
                continue
            linked = vertex.parents if graph_type == "verification" else _funds(chain, vertex)
            following.update(linked)
            edges.update((current, other) for other in linked)
        level = following
    lines = "\n".join(f'\t"{a}" -> "{b}"' for a, b in sorted(edges))
    return f'digraph {{\n\t"{tx_id}"\n{lines}\n}}\n'


def _funds(chain: Chain, vertex: Vertex) -> list[str]:
    spenders = [
        spender
        for index in range(len(vertex.outputs))
        for spender in chain.spenders.get((vertex.hash, index), ())
    ]
    return [tx_id for tx_id, _index in vertex.inputs] + spenders
