"""The rights of this ledger's tokens, and the limits that narrow them. `token_rules` turns the limits into rules of the guard."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from strongroom.bittensor.protocol.errors import ProtocolError
from strongroom.bittensor.protocol.ss58 import decode_address
from strongroom.core.errors import Forbidden, InvalidInput
from strongroom.core.json_decoder import decode_json
from strongroom.core.security.access import EXPORT_RIGHT, Principal, export_scope
from strongroom.core.security.networks import ELSEWHERE, is_within, parse_networks

READ: Final = "bittensor:read"
SIGN: Final = "bittensor:sign"
SUBMIT: Final = "bittensor:submit"
EXPORT: Final = f"bittensor:{EXPORT_RIGHT}"

SCOPES: Final = {
    READ: "read wallets' addresses, verify signatures, ask for the outcome of a call",
    SIGN: "sign messages that are no transactions",
    SUBMIT: "submit the calls that the token's limits allow, by default those that set weights",
    **export_scope("bittensor"),
}

WEIGHTS: Final = "weights"
"""In a list of calls, this word stands for all calls that set, commit or reveal weights."""
WRAPPERS: Final = frozenset(
    {
        "Contracts",
        "Crowdloan",
        "EVM",
        "Ethereum",
        "MevShield",
        "Multisig",
        "Proxy",
        "SafeMode",
        "Scheduler",
        "Sudo",
        "Triumvirate",
        "Utility",
    }
)
"""Pallets whose calls carry other calls, or let others call: no token opens them."""
WRAPPER_CALLS: Final = frozenset({"SubtensorModule.sudo", "SubtensorModule.sudo_unchecked_weight"})
MAX_NETUID: Final = 65_535


class TokenLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What narrows a token's rights. None: no limit of this kind."""

    wallets: tuple[str, ...] | None = None
    hotkeys: tuple[str, ...] | None = None
    netuids: tuple[int, ...] | None = None
    """With it, calls of the subnets' pallet that name no subnet are refused."""
    calls: tuple[str, ...] = (WEIGHTS,)
    """`Pallet.function`, or `weights`."""
    coldkey: bool = False
    """Whether the coldkey may sign, messages and the calls in `calls` that need it."""
    most_rao: int | None = None
    """What one call may take from the coldkey. With it, calls whose cost they do not say are refused."""
    destinations: tuple[str, ...] | None = None
    """Addresses that may be paid. With it, calls that pay nobody are as free as without."""
    any_text: bool = False
    """Whether any printable text may be signed, not only the known forms of messages."""
    requests_a_minute: int | None = None
    networks: tuple[str, ...] | None = None
    """Networks that requests may come from, in CIDR form."""


def encode_limits(limits: TokenLimits) -> str:
    """The document for the token's row; empty when nothing differs from the default.

    Raises:
        InvalidInput: a call that no token may make, a netuid or a network that is none.
    """
    for call in limits.calls:
        _check_call(call)
    for netuid in limits.netuids or ():
        if not 0 <= netuid <= MAX_NETUID:
            raise InvalidInput(f"A netuid is from 0 to {MAX_NETUID}, not {netuid}")
    if limits.most_rao is not None and limits.most_rao < 0:
        raise InvalidInput("The most rao are 0 or more")
    for address in limits.destinations or ():
        try:
            decode_address(address)
        except ProtocolError as error:
            raise InvalidInput(f"{address!r} is no address: {error}") from None
    if limits.requests_a_minute is not None and limits.requests_a_minute < 1:
        raise InvalidInput("The requests a minute are 1 or more")
    parse_networks(limits.networks or ())
    return "" if limits == TokenLimits() else msgspec.json.encode(limits).decode()


def read_limits(document: Mapping[str, Any]) -> str:
    """As `encode_limits`, from a document of a client. Raises: InvalidInput."""
    try:
        return encode_limits(msgspec.convert(document, TokenLimits))
    except msgspec.ValidationError as error:
        raise InvalidInput(f"The limits cannot be read: {error}", code="limits_invalid") from None


def limits_of(principal: Principal) -> TokenLimits:
    """Raises: Forbidden: the row holds what this version does not understand; then nothing is allowed."""
    return decode_limits(principal.limits)


def require_network(principal: Principal, client: str) -> None:
    """`client`: an address, or the network of 64 bits that one IPv6 client has.

    Raises:
        Forbidden: the token may not be used from there.
    """
    networks = limits_of(principal).networks
    if networks is not None and not is_within(client, networks):
        raise Forbidden("The token may not be used from this address", code=ELSEWHERE)


def _check_call(call: str) -> None:
    pallet, dot, function = call.partition(".")
    if call == WEIGHTS:
        return
    if not (dot and pallet.isidentifier() and function.isidentifier()):
        raise InvalidInput(f"A call looks like SubtensorModule.set_weights, not {call!r}")
    if is_wrapper(call):
        raise InvalidInput(f"No token may make the call {call}: such carry other calls")


def is_wrapper(call: str) -> bool:
    return call.partition(".")[0] in WRAPPERS or call in WRAPPER_CALLS


@lru_cache(maxsize=1024)
def decode_limits(text: str) -> TokenLimits:
    """Raises: Forbidden: it holds what this version does not understand."""
    if not text:
        return TokenLimits()
    try:
        return decode_json(text, TokenLimits)
    except msgspec.MsgspecError:
        raise Forbidden("The token's limits are not understood by this version") from None
