"""Routes that ask the full node: its version, token details, and the proxies, whose answers pass as they are."""

from typing import Any

import msgspec
from litestar import Response

from strongroom.core.clock import Clock
from strongroom.core.json_decoder import decode_json
from strongroom.hathor.api.refusal import Refusal
from strongroom.hathor.api.requests import Request, answer, bearer, passed_on, read_query
from strongroom.hathor.api.validation import Key, Schema, number, text
from strongroom.hathor.gateway import InvalidNodeResponse
from strongroom.hathor.gateway.network_rules import Versions
from strongroom.hathor.gateway.node import HttpNode, Query
from strongroom.hathor.wallets.jwt import Tokens

TOKEN = Schema(keys={"token_id": Key(check=text(alphanumeric=True, least=64, most=64), required=True)})
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


class TokenDetails(msgspec.Struct, frozen=True):
    """The node's `thin_wallet/token`; `success` false when it knows no such token."""

    success: bool = False
    name: str = ""
    symbol: str = ""
    version: int | None = None
    total: int = 0
    transactions_count: int = 0
    can_mint: bool = False
    can_melt: bool = False


class NodeRoutes:
    def __init__(self, node: HttpNode, versions: Versions, tokens: Tokens, clock: Clock) -> None:
        self._node = node
        self._versions = versions
        self._tokens = tokens
        self._clock = clock

    async def version(self, _request: Request) -> Response[bytes]:
        rules = await self._versions.rules()
        return answer(data={**rules.encode(), "timestamp": self._clock.now_ms() // 1000})

    async def token_details(self, request: Request) -> Response[bytes]:
        bearer(request, self._tokens, full=False)
        token_id = TOKEN.check(request.path_params)["token_id"]
        try:
            found = decode_json(await self._node.get("thin_wallet/token", {"id": token_id}), TokenDetails)
        except msgspec.DecodeError as error:
            raise InvalidNodeResponse(f"The node's details of a token are not understood: {error}") from error
        if not found.success:
            raise Refusal(404, "token-not-found", details=[{"message": "Token not found"}])
        version = {} if found.version is None else {"version": found.version}
        return answer(
            details={
                "tokenInfo": {"id": token_id, "name": found.name, "symbol": found.symbol, **version},
                "totalSupply": found.total,
                "totalTransactions": found.transactions_count,
                "authorities": {"mint": found.can_mint, "melt": found.can_melt},
            }
        )

    async def transaction(self, request: Request) -> Response[bytes]:
        bearer(request, self._tokens, full=False)
        tx_id = TRANSACTION.check(request.path_params)["txId"]
        return passed_on(await self._node.get("transaction", {"id": tx_id}), has_amounts=True)

    async def confirmation(self, request: Request) -> Response[bytes]:
        bearer(request, self._tokens, full=False)
        tx_id = TRANSACTION.check(request.path_params)["txId"]
        return passed_on(await self._node.get("transaction_acc_weight", {"id": tx_id}))

    async def neighbours(self, request: Request) -> Response[bytes]:
        """The graph's text as a JSON string, whether the node wrapped it so or not."""
        bearer(request, self._tokens, full=False)
        asked = GRAPH.check(read_query(request), convert=True)
        query = {
            "tx": asked["txId"],
            "graph_type": asked["graphType"],
            "max_level": f"{asked['maxLevel']:g}",
        }
        graph = await self._node.get_text("graphviz/neighbours.dot/", query)
        return passed_on(graph if _is_json(graph) else msgspec.json.encode(graph.decode(errors="replace")))

    async def contract_state(self, request: Request) -> Response[bytes]:
        """A list comes as a repeated key, `fields` or `fields[]`; the node knows the second form."""
        bearer(request, self._tokens, full=False)
        asked: dict[str, Any] = read_query(request)
        for name in LISTS:
            values = [value for key in (name, f"{name}[]") for value in request.query_params.getall(key, [])]
            asked.pop(f"{name}[]", None)
            if values:
                asked[name] = values
        checked = _of_contract(STATE, asked)
        query = {f"{name}[]" if name in LISTS else name: value for name, value in checked.items()}
        return passed_on(await self._node.get("nano_contract/state", _given(query)))

    async def contract_history(self, request: Request) -> Response[bytes]:
        bearer(request, self._tokens, full=False)
        checked = _of_contract(HISTORY, read_query(request))
        return passed_on(await self._node.get("nano_contract/history", _given(checked)), has_amounts=True)

    async def blueprint(self, request: Request) -> Response[bytes]:
        bearer(request, self._tokens, full=False)
        checked = _of_contract(BLUEPRINT, read_query(request))
        return passed_on(await self._node.get("nano_contract/blueprint/info", _given(checked)))


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
