"""What is asked of a key, in the words that rules know: who asks, which key, which call, which subnets, hotkeys and weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from strongroom.bittensor.keystore.names import HotkeyNames, Signer
from strongroom.bittensor.protocol.call_reach import reach_of
from strongroom.bittensor.protocol.calls import SUBTENSOR, Call
from strongroom.bittensor.protocol.weight_calls import weights_in
from strongroom.bittensor.protocol.weights import WeightSet
from strongroom.core.security.access import Principal
from strongroom.core.security.policy import EXPORT, SignatureRequest, Term, Unsaid

MILLION: Final = 1_000_000
READING: Final = "read"
"""The kind of what signs nothing."""

SUBNET_PALLETS: Final = frozenset({SUBTENSOR, "Swap", "LimitOrders"})
"""Their calls concern subnets and hotkeys, and may concern any where they name none."""
_NAMES_ONE_OF_TWO: Final = frozenset({"SubtensorModule.move_lock"})
"""It names the hotkey that gets something, and not the one that loses it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse(SignatureRequest):
    """A use of a named key. What rules may ask of it is in `terms`, whatever the audit row says besides."""

    terms: Mapping[str, Term] = field()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImaginedUse(KeyUse):
    """The use that a person asks about."""


def early_use(
    principal: Principal,
    scope: str,
    signer: Signer,
    *,
    kind: str = READING,
    call: str | None = None,
    netuids: tuple[int, ...] = (),
    address: str = "",
) -> KeyUse:
    """What is known before a call is put together, or all that there is of a message and of reading."""
    addresses = (address,) if address and not signer.coldkey else ()
    return KeyUse(
        principal=principal,
        scope=scope,
        account=address,
        kind=kind,
        payload_hash=b"",
        wallet=signer.wallet,
        terms={**_key_terms(signer), "netuid": netuids, "call": call, "hotkey_address": addresses},
    )


def call_use(
    principal: Principal,
    scope: str,
    signer: Signer,
    call: Call,
    *,
    names: HotkeyNames,
    weights: WeightSet | None = None,
) -> KeyUse:
    """The use of a key for a call. `names` has at least the hotkey of the request; `weights` are those that a commit hides.

    Raises:
        ProtocolError: an argument that names a subnet, an amount, an account or weights is none.
    """
    reach = reach_of(call)
    concerns_subnets = call.pallet in SUBNET_PALLETS
    named, is_any = reach.hotkeys, False
    if signer.coldkey and concerns_subnets:
        is_unknown = not names.is_complete and any(each not in names.names for each in named)
        is_any = not named or call.name in _NAMES_ONE_OF_TWO or is_unknown
    told = tuple(names.names.get(each, each) for each in named)
    own = tuple(address for address, name in names.names.items() if name == signer.hotkey)
    terms: dict[str, Term] = {
        **_key_terms(signer),
        "netuid": reach.netuids or (Unsaid.ANY if concerns_subnets else ()),
        "call": call.name,
        "hotkey": Unsaid.ANY if is_any else tuple({signer.hotkey: None, **dict.fromkeys(told)}),
        "hotkey_address": Unsaid.ANY if is_any else named if signer.coldkey else (*own, *named),
        "names_other_hotkey": int(any(each != signer.hotkey for each in told)),
        "paid": () if reach.destination is None else (reach.destination,),
        **_weight_terms(call, weights),
    }
    return KeyUse(
        principal=principal,
        scope=scope,
        account="",
        kind=call.name,
        payload_hash=b"",
        wallet=signer.wallet,
        amount_raw=reach.amount_rao or 0,
        is_amount_known=reach.amount_rao is not None,
        destination=reach.destination,
        terms=terms,
    )


def imagined_use(asked: SignatureRequest) -> ImaginedUse:
    """Turns a person's question into a use of which rules know the facts that the person names."""
    call = None if asked.kind == EXPORT or asked.kind.startswith("message:") else asked.kind
    paid = () if asked.destination is None else (asked.destination,)
    hotkey = asked.facts.get("hotkey")
    return ImaginedUse(
        principal=asked.principal,
        scope=asked.scope,
        account=asked.account,
        kind=asked.kind,
        payload_hash=asked.payload_hash,
        wallet=asked.wallet,
        amount_raw=asked.amount_raw,
        is_amount_known=asked.is_amount_known,
        destination=asked.destination,
        facts=asked.facts,
        terms={"call": call, "asked_hotkey": hotkey, "paid": paid, **asked.facts},
    )


def _key_terms(signer: Signer) -> dict[str, Term]:
    return {
        "key": "coldkey" if signer.coldkey else "hotkey",
        "hotkey": signer.hotkey,
        "asked_hotkey": signer.hotkey,
    }


def _weight_terms(call: Call, hidden: WeightSet | None) -> Mapping[str, Term]:
    """What a call says of weights. Of a commit that somebody else has made, they may be any."""
    if hidden is not None:
        return _terms_of([hidden])
    parts = weights_in(call, may_be_zero=True)
    if not parts:
        return {}
    seen = [part.weights for part in parts if part.weights is not None]
    if len(seen) < len(parts):
        return dict.fromkeys(("uid", "uid_count", "largest_share", "version_key"), Unsaid.ANY)
    return _terms_of(seen)


def _terms_of(sets: Sequence[WeightSet]) -> Mapping[str, Term]:
    uids = [[uid for uid, value in zip(each.uids, each.values, strict=True) if value] for each in sets]
    return {
        "uid": tuple(uid for each in uids for uid in each),
        "uid_count": tuple(len(each) for each in uids),
        "largest_share": tuple(_largest_share(each.values) for each in sets),
        "version_key": tuple(each.version_key for each in sets),
    }


def _largest_share(values: Sequence[int]) -> int:
    """In millionths of the sum, rounded up, so that it is above a bound exactly when the share is."""
    total = sum(values)
    return -(-max(values) * MILLION // total) if total else 0
