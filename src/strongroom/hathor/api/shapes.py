"""The answers of the API, as types: what the OpenAPI document says of them. Names are camelCase on the wire."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Decimal = Annotated[str, Meta(pattern="^-?[0-9]+$")]
Amount = Annotated[
    int | Decimal, Meta(description="Smallest units; a decimal string when `amounts` asks for it")
]
Hash = Annotated[str, Meta(description="64 hexadecimal digits")]
Seconds = Annotated[int, Meta(description="Unix time in seconds")]
LoadStatus = Literal["creating", "ready", "error"]


class WalletStatus(Struct, rename="camel"):
    wallet_id: Hash
    xpubkey: str
    auth_xpubkey: str
    status: LoadStatus
    retry_count: int
    max_gap: int
    created_at: Seconds
    ready_at: Seconds | None
    last_used_address_index: int
    shielded_max_gap: int | None
    last_used_shielded_index: int | None


class StatusAnswer(Struct):
    success: Literal[True]
    status: WalletStatus


class TokenAnswer(Struct):
    success: Literal[True]
    token: Annotated[str, Meta(description="A JSON web token, good for half an hour")]


class AddressEntry(Struct):
    address: str
    index: int
    transactions: int
    seqnum: int


class ListedAddress(AddressEntry, rename="camel"):
    spend_address: Annotated[str, Meta(description="With `legacy=false`: its form on the chain")] = ""


class AddressesAnswer(Struct):
    success: Literal[True]
    addresses: list[ListedAddress]


class AddressInfoAnswer(Struct):
    success: Literal[True]
    data: AddressEntry


class NewAddress(Struct, rename="camel"):
    address: str
    index: int
    address_path: str


class NewAddressesAnswer(Struct, rename="camel"):
    """With `legacy=false` also the last two; `addresses` are the shielded ones then."""

    success: Literal[True]
    addresses: list[NewAddress]
    spend_addresses: list[NewAddress] = []
    legacy_addresses: list[NewAddress] = []


class MineAnswer(Struct):
    success: Literal[True]
    addresses: dict[str, bool]


class UsedBeyondFirstAnswer(Struct, rename="camel"):
    success: Literal[True]
    has_transactions: bool


class TokenName(Struct):
    id: str
    name: str
    symbol: str
    version: Annotated[int, Meta(description="0 native, 1 with a deposit, 2 with a fee")] | None


class SplitAmount(Struct):
    """With `split=true`."""

    transparent: Amount
    shielded: Amount
    total: Amount


class BalanceSums(Struct):
    unlocked: Amount | SplitAmount
    locked: Amount | SplitAmount


class Authorities(Struct):
    mint: bool
    melt: bool


class AuthoritySums(Struct):
    unlocked: Authorities
    locked: Authorities


class TokenBalance(Struct, rename="camel"):
    token: TokenName
    transactions: int
    balance: BalanceSums
    token_authorities: AuthoritySums
    lock_expires: Seconds | None


class BalancesAnswer(Struct):
    success: Literal[True]
    balances: list[TokenBalance]
    status: LoadStatus


class TokensAnswer(Struct):
    success: Literal[True]
    tokens: list[str]


class TokenDetailsView(Struct, rename="camel"):
    token_info: TokenName
    total_supply: Amount
    total_transactions: int
    authorities: Authorities


class TokenDetailsAnswer(Struct):
    success: Literal[True]
    details: TokenDetailsView


class Breakdown(Struct):
    transparent: Amount
    shielded: Amount


class HistoryEntry(
    Struct, rename={"tx_id": "txId", "tx_kind": "tx_kind", "balance_breakdown": "balanceBreakdown"}
):
    tx_id: Hash
    timestamp: Seconds
    voided: Literal[0, 1]
    balance: Annotated[Amount, Meta(description="What the transaction changed")]
    version: int | None
    tx_kind: Literal["transparent", "shielded", "mixed"]
    balance_breakdown: Breakdown


class HistoryAnswer(Struct, rename="camel"):
    """`skip` without a cursor, `nextCursor` with one."""

    success: Literal[True]
    history: list[HistoryEntry]
    count: int
    skip: int | None = None
    next_cursor: str | None = None


class TransactionToken(Struct, rename="camel"):
    tx_id: Hash
    timestamp: Seconds
    version: int
    voided: bool
    weight: float | None
    balance: Amount
    token_id: str
    token_name: str | None
    token_symbol: str | None


class TransactionAnswer(Struct, rename="camel"):
    success: Literal[True]
    tx_tokens: list[TransactionToken]


class OutputEntry(Struct, rename="camel"):
    tx_id: Hash
    index: int
    token_id: str
    address: str
    value: Amount
    authorities: int
    timelock: Seconds | None
    heightlock: int | None
    locked: bool
    tx_proposal_id: str | None
    tx_proposal_index: int | None
    spent_by: Hash | None
    mode: int
    recovery_state: str | None
    address_path: str
    kind: Literal["transparent", "shielded"]


class OutputsAnswer(Struct, rename="camel"):
    success: Literal[True]
    tx_outputs: list[OutputEntry]


class UtxosAnswer(Struct):
    success: Literal[True]
    utxos: list[OutputEntry]


class HeldInput(Struct, rename="camel"):
    tx_id: Hash
    index: int
    address_path: str


class ProposalAnswer(Struct, rename="camel"):
    success: Literal[True]
    tx_proposal_id: str
    inputs: list[HeldInput]


class SentAnswer(Struct, rename="camel"):
    success: Literal[True]
    tx_proposal_id: str
    tx_hex: str


class CancelledAnswer(Struct, rename="camel"):
    success: Literal[True]
    tx_proposal_id: str


class VersionData(Struct, rename="camel"):
    version: str
    network: str
    nano_contracts_enabled: bool
    min_weight: float
    min_tx_weight: float
    min_tx_weight_coefficient: float
    min_tx_weight_k: float
    reward_spend_min_blocks: int
    max_number_inputs: int
    max_number_outputs: int
    decimal_places: int
    native_token_name: str
    native_token_symbol: str
    genesis_block_hash: Hash | None
    timestamp: Seconds
    token_deposit_percentage: float | None = None
    token_deposit_percentage_numerator: int | None = None
    token_deposit_percentage_denominator: int | None = None


class VersionAnswer(Struct):
    success: Literal[True]
    data: VersionData


class NodeAnswer(Struct):
    """The full node's own answer; what else is in it is in the node's documentation. `success` may be false."""

    success: bool | None = None


class DeletedAnswer(Struct, rename="camel"):
    success: Literal[True]
    wallet_id: Hash


class MinerEntry(Struct, rename="camel"):
    address: str
    first_block: Hash
    last_block: Hash
    count: int


class MinersAnswer(Struct):
    success: Literal[True]
    miners: list[MinerEntry]


class BlockView(Struct, rename="camel"):
    tx_id: Hash
    height: int
    timestamp: Seconds


class BlockAnswer(Struct):
    success: Literal[True]
    block: BlockView | None


class SupplyAnswer(Struct, rename="camel"):
    success: Literal[True]
    total_supply: Amount


class DoneAnswer(Struct):
    success: Literal[True]


class HealthCheck(Struct, rename="camel"):
    component_name: str
    component_type: Literal["internal", "datastore", "http"]
    status: Literal["pass", "warn", "fail"]
    output: str
    time: str
    affects_service_health: bool


class HealthAnswer(Struct, rename="camel"):
    status: Literal["pass", "warn", "fail"]
    description: str
    checks: dict[str, list[HealthCheck]]
    http_status_code: Literal[200, 503]


class LegacyStatus(Struct, rename="camel"):
    wallet_id: Hash
    xpubkey: str
    max_gap: int
    status: LoadStatus
    created_at: Seconds
    ready_at: Seconds | None


class LegacyStatusAnswer(Struct):
    success: Literal[True]
    status: LegacyStatus


class LegacyTokenName(Struct):
    id: str
    name: str
    symbol: str


class LegacyBalance(Struct, rename="camel"):
    token: LegacyTokenName
    transactions: int
    balance: BalanceSums
    token_authorities: AuthoritySums
    lock_expires: Seconds | None


class LegacyBalancesAnswer(Struct):
    success: Literal[True]
    balances: list[LegacyBalance]


class LegacyAddress(Struct):
    address: str
    index: int
    transactions: int


class LegacyAddressesAnswer(Struct):
    success: Literal[True]
    addresses: list[LegacyAddress]


class LegacyEntry(Struct, rename="camel"):
    tx_id: Hash
    timestamp: Seconds
    balance: Amount


class LegacyHistoryAnswer(Struct):
    success: Literal[True]
    history: list[LegacyEntry]
    skip: int
    count: int


class LegacyPayee(Struct):
    address: str
    value: Amount
    token: str
    timelock: Seconds | None


class LegacyProposalAnswer(Struct, rename="camel"):
    success: Literal[True]
    tx_proposal_id: str
    inputs: list[HeldInput]
    outputs: list[LegacyPayee]
    tokens: list[str]


class Failure(Struct):
    """`error` is a stable code; others of the code's own keys may stand beside it."""

    success: Literal[False]
    error: str | None = None
    details: Any = None


class GatewayFailure(Struct, rename={"reason": "Message"}):
    """Who asks may not: `message` with 401, and with 403 where a key is wanted; else `Message`."""

    message: str | None = None
    reason: str | None = None
