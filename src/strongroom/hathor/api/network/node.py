"""What the service says in its own words of what the full node knows: its version, and tokens."""

from dataclasses import dataclass

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency
from msgspec import UNSET, UnsetType

from strongroom.core.clock import Clock
from strongroom.core.json_decoder import decode_json
from strongroom.hathor.api.answers import Amount, Hash, Seconds, Success
from strongroom.hathor.api.refusal import Refusal, refused
from strongroom.hathor.api.requests import Request
from strongroom.hathor.api.terms import PUBLIC, Access, Terms
from strongroom.hathor.api.validation import Key, Schema, text
from strongroom.hathor.api.wallets.holdings import Authorities, TokenVersion
from strongroom.hathor.gateway import InvalidNodeResponse
from strongroom.hathor.gateway.network_rules import NativeToken, NetworkRules, Versions
from strongroom.hathor.gateway.node import HttpNode

TOKEN = Schema(keys={"token_id": Key(check=text(alphanumeric=True, least=64, most=64), required=True)})
REFUSED = {
    400: refused("`invalid-payload`, or the node refused: `fullnode-refused`"),
    404: refused("The node does not know it: `fullnode-refused`"),
    502: refused("The node failed: `fullnode-error`"),
    503: refused("The node is away: `fullnode-unavailable`"),
}
DECIMAL_PLACES = 2
NANO_CONTRACTS_ENABLED = frozenset({True, "enabled", "feature_activation"})
"""What nodes say where contracts run; a node with a bug says one of its own words."""


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


class VersionData(msgspec.Struct, kw_only=True, rename="camel"):
    """A form of the deposit that the node does not know is absent."""

    version: str
    network: str
    nano_contracts_enabled: bool
    min_weight: float
    min_tx_weight: float
    min_tx_weight_coefficient: float
    min_tx_weight_k: float
    token_deposit_percentage: float | UnsetType = UNSET
    token_deposit_percentage_numerator: int | UnsetType = UNSET
    token_deposit_percentage_denominator: int | UnsetType = UNSET
    reward_spend_min_blocks: int
    max_number_inputs: int
    max_number_outputs: int
    decimal_places: int
    native_token_name: str
    native_token_symbol: str
    genesis_block_hash: Hash | None
    timestamp: Seconds


class VersionAnswer(Success, kw_only=True):
    data: VersionData


class NodeTokenName(msgspec.Struct, kw_only=True):
    id: str
    name: str
    symbol: str
    version: TokenVersion | UnsetType = UNSET


class TokenDetailsView(msgspec.Struct, kw_only=True, rename="camel"):
    token_info: NodeTokenName
    total_supply: Amount
    total_transactions: int
    authorities: Authorities


class TokenDetailsAnswer(Success, kw_only=True):
    details: TokenDetailsView


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """What the routes about the node ask."""

    node: HttpNode
    versions: Versions
    clock: Clock


class VersionController(Controller):
    tags = ("Full node",)

    @get("/version", summary="The node's version and the network's rules", opt=PUBLIC, responses=REFUSED)
    async def version(self, node_view: NamedDependency[NodeView]) -> VersionAnswer:
        rules = await node_view.versions.rules()
        return VersionAnswer(data=_version(rules, node_view.clock.now_ms() // 1000))


class TokenController(Controller):
    path = "/wallet/tokens"
    tags = ("Full node",)

    @get(
        "/{token_id:str}/details",
        summary="Name, supply and authorities of a token",
        opt=Terms(access=Access.TOKEN, path=TOKEN, amounts=True).opt,
        responses={**REFUSED, 404: refused("`token-not-found`")},
    )
    async def token_details(
        self, request: Request, node_view: NamedDependency[NodeView]
    ) -> TokenDetailsAnswer:
        token_id = TOKEN.check(request.path_params)["token_id"]
        try:
            raw = await node_view.node.get("thin_wallet/token", {"id": token_id})
            found = decode_json(raw, TokenDetails)
        except msgspec.DecodeError as error:
            raise InvalidNodeResponse(f"The node's details of a token are not understood: {error}") from error
        if not found.success:
            raise Refusal(404, "token-not-found", details=[{"message": "Token not found"}])
        version = UNSET if found.version is None else found.version
        return TokenDetailsAnswer(
            details=TokenDetailsView(
                token_info=NodeTokenName(id=token_id, name=found.name, symbol=found.symbol, version=version),
                total_supply=found.total,
                total_transactions=found.transactions_count,
                authorities=Authorities(mint=found.can_mint, melt=found.can_melt),
            )
        )


def _version(rules: NetworkRules, now_s: int) -> VersionData:
    token = rules.native_token or NativeToken()
    percentage = rules.token_deposit_percentage
    numerator, denominator = (
        rules.token_deposit_percentage_numerator,
        rules.token_deposit_percentage_denominator,
    )
    return VersionData(
        version=rules.version,
        network=rules.network,
        nano_contracts_enabled=rules.nano_contracts_enabled in NANO_CONTRACTS_ENABLED,
        min_weight=rules.min_tx_weight if rules.min_weight is None else rules.min_weight,
        min_tx_weight=rules.min_tx_weight,
        min_tx_weight_coefficient=rules.min_tx_weight_coefficient,
        min_tx_weight_k=rules.min_tx_weight_k,
        token_deposit_percentage=UNSET if percentage is None else percentage,
        token_deposit_percentage_numerator=UNSET if numerator is None else numerator,
        token_deposit_percentage_denominator=UNSET if denominator is None else denominator,
        reward_spend_min_blocks=rules.reward_spend_min_blocks,
        max_number_inputs=rules.max_number_inputs,
        max_number_outputs=rules.max_number_outputs,
        decimal_places=DECIMAL_PLACES if rules.decimal_places is None else rules.decimal_places,
        native_token_name=token.name,
        native_token_symbol=token.symbol,
        genesis_block_hash=rules.genesis_block_hash,
        timestamp=now_s,
    )
