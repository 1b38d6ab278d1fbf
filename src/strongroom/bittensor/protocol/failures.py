"""Reads how an extrinsic failed: a pool refused it, which nodes say in two ways, or it was included and failed.

Sources: polkadot-sdk rpc-api `author/error.rs` and `TransactionValidityError`; subtensor `CustomTransactionError`.
"""

import enum
import json
import re
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an extrinsic failed, as the caller is told. `type` says who refused it: Pool, Module, or the kind of dispatch error."""

    type: str
    name: str
    docs: str = ""
    code: int | None = None

    @property
    def message(self) -> str:
        return f"{self.name}: {self.docs}" if self.docs else self.name


class Refusal(enum.StrEnum):
    """What a pool's refusal means for the extrinsic that it refused."""

    REFUSED = "refused"
    """The pool did not take the extrinsic. Whoever has its bytes may offer them again; nobody else has them."""
    BAD_PROOF = "bad proof"
    """The signature, genesis hash, runtime version or era does not fit; the answer does not say which."""
    NONCE_TAKEN = "nonce taken"
    """Another extrinsic has, or had, this nonce."""
    KNOWN = "known"
    """The pool has this extrinsic already."""
    BANNED = "banned"
    """The pool had this extrinsic a short while ago; it may be in a block by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRefusal:
    kind: Refusal
    failure: Failure


CUSTOM: Final = {
    0: ("ColdkeyInSwapSchedule", "The coldkey is about to be swapped"),
    1: ("StakeAmountTooLow", "The amount, or the stake behind the hotkey, is below the minimum"),
    2: ("BalanceTooLow", "The balance does not suffice"),
    3: ("SubnetNotExists", "The subnet does not exist"),
    4: ("HotkeyAccountDoesntExist", "The hotkey has no account"),
    5: ("NotEnoughStakeToWithdraw", "There is less stake than that"),
    6: ("RateLimitExceeded", "Too soon after an earlier call of this kind"),
    7: ("InsufficientLiquidity", "The subnet's pool does not hold enough"),
    8: ("SlippageTooHigh", "The price would move beyond the limit"),
    9: ("TransferDisallowed", "The subnet does not allow transfers of stake"),
    10: ("HotKeyNotRegisteredInNetwork", "The hotkey is registered in no subnet"),
    11: ("InvalidIpAddress", "The IP address is not acceptable"),
    12: ("ServingRateLimitExceeded", "Too soon after the axon was last served"),
    13: ("InvalidPort", "The port is not acceptable"),
    14: ("ZeroMaxAmount", "Nothing could be moved within the limit price"),
    15: ("InvalidRevealRound", "The round of the reveal is in the past"),
    16: ("CommitNotFound", "There is no such commit"),
    17: ("CommitBlockNotInRevealRange", "It is too early, or too late, to reveal this commit"),
    18: ("InputLengthsUnequal", "Lists that belong together differ in length"),
    19: ("UidNotFound", "There is no such uid"),
    20: ("EvmKeyAssociateRateLimitExceeded", "Too soon after the EVM key was last associated"),
    21: ("ColdkeySwapDisputed", "The swap of the coldkey is disputed"),
    22: ("InvalidRealAccount", "The proxy does not act for this account"),
    23: ("FailedShieldedTxParsing", "The shielded transaction cannot be read"),
    24: ("InvalidShieldedTxPubKeyHash", "The shielded transaction is for another key"),
    25: ("NonAssociatedColdKey", "The hotkey belongs to another coldkey"),
    26: ("DelegateTakeTooLow", "The take is below the minimum"),
    27: ("DelegateTakeTooHigh", "The take is above the maximum"),
    255: ("BadRequest", "The chain does not accept the call as it is"),
}
"""The reasons by number that subtensor's extension gives, which checks calls before they enter the pool."""

_VALIDITY: Final = {
    "call": ("Call", "The call is not allowed now"),
    "payment": ("Payment", "The account cannot pay the fee"),
    "future": ("Future", "The nonce is ahead of the account's"),
    "exhaustsResources": ("ExhaustsResources", "The block has no room for the call"),
    "badMandatory": ("BadMandatory", "Only the chain itself may make the call"),
    "mandatoryValidation": ("MandatoryValidation", "Only the chain itself may make the call"),
    "badSigner": ("BadSigner", "The signer is not acceptable"),
    "indeterminateImplicit": ("IndeterminateImplicit", "The runtime could not check the extrinsic"),
    "unknownOrigin": ("UnknownOrigin", "The signer is not known"),
    "cannotLookup": ("CannotLookup", "The chain could not look up what it needs"),
    "noUnsignedValidator": ("NoUnsignedValidator", "The call must be signed"),
}
_STOCK: Final = (
    ("Transaction is outdated", "stale"),
    ("Transaction has a bad signature", "badProof"),
    ("Transaction has an ancient birth block", "ancientBirthBlock"),
    ("Inability to pay some fees", "payment"),
    ("Transaction call is not expected", "call"),
    ("Transaction will be valid in the future", "future"),
    ("Transaction would exhaust the block limits", "exhaustsResources"),
    ("The transaction signer is invalid", "badSigner"),
    ("Invalid signing address", "badSigner"),
)
_CUSTOM_TEXT: Final = re.compile(r"Custom error: ([0-9]{1,3})\b")
"""The chain encodes the number in one byte."""
MAX_SHOWN: Final = 200
"""So many characters of the node's text are kept, because a node may send megabytes."""
_INVALID, _UNKNOWN_VALIDITY, _BANNED, _IMPORTED = 1010, 1011, 1012, 1013
_OUTBID, _CYCLE, _DROPPED, _UNACTIONABLE = 1014, 1015, 1016, 1018
_FORMAT, _VERIFICATION, _BAD_TYPE = 1001, 1002, 1003
_KINDS: Final = {
    _IMPORTED: (Refusal.KNOWN, "AlreadyImported", "The pool has it"),
    _BANNED: (Refusal.BANNED, "TemporarilyBanned", "The pool had it a short while ago"),
    _OUTBID: (Refusal.NONCE_TAKEN, "PriorityTooLow", "The pool has another one of this nonce"),
}
_OTHERS: Final = {
    _UNKNOWN_VALIDITY: ("UnknownValidity", "The node could not tell whether the extrinsic is valid"),
    _CYCLE: ("CycleDetected", "The extrinsic depends on itself"),
    _DROPPED: ("ImmediatelyDropped", "The pool is full"),
    _UNACTIONABLE: ("Unactionable", "The pool has no use for the extrinsic"),
    _FORMAT: ("BadFormat", "The node cannot decode the extrinsic"),
    _VERIFICATION: ("Inspection", "The node could not verify the extrinsic"),
    _BAD_TYPE: ("BadType", "The node cannot decode the extrinsic"),
}


def pool_refusal(code: int, message: str, data: Any = None) -> PoolRefusal | None:
    """Returns what a JSON-RPC error after a submission means; None if it is not a refusal, so that the outcome is unknown."""
    if code in _KINDS:
        return _refusal(*_KINDS[code], code)
    reason = _reason(message, data)
    if reason is not None:
        return _of_validity(*reason, code)
    if code in _OTHERS:
        return _refusal(Refusal.REFUSED, *_OTHERS[code], code)
    if code == _INVALID:
        return _refusal(Refusal.REFUSED, "Invalid", str(data or message)[:MAX_SHOWN], code)
    return None


def _reason(message: str, data: Any) -> tuple[str, Any] | None:
    """Returns the kind of invalidity and its detail, from either of the two forms; None if the answer has none."""
    for text in (message, data):
        if isinstance(text, dict):
            found = _json_reason(text)
        elif isinstance(text, str):
            found = _json_reason(_parsed(text)) or _stock_reason(text)
        else:
            found = None
        if found is not None:
            return found
    return None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text) if text.startswith("{") else None  # noqa: TID251 - a protocol is pure
    except (ValueError, RecursionError):
        return None


def _json_reason(document: Any) -> tuple[str, Any] | None:
    if not isinstance(document, dict):
        return None
    inner = document.get("invalid") or document.get("unknown")
    return next(iter(inner.items())) if isinstance(inner, dict) and inner else None


def _stock_reason(text: str) -> tuple[str, Any] | None:
    custom = _CUSTOM_TEXT.search(text)
    if custom:
        return "custom", int(custom[1])
    return next(((name, None) for said, name in _STOCK if said in text), None)


def _of_validity(name: str, detail: Any, code: int) -> PoolRefusal:
    match name:
        case "stale":
            return _refusal(Refusal.NONCE_TAKEN, "Stale", "The account's nonce has gone on", code)
        case "badProof":
            docs = "The signature, the genesis hash, the runtime version or the era does not fit"
            return _refusal(Refusal.BAD_PROOF, "BadProof", docs, code)
        case "ancientBirthBlock":
            return _refusal(Refusal.BAD_PROOF, "AncientBirthBlock", "The era has ended", code)
        case "custom" if isinstance(detail, int):
            known = CUSTOM.get(detail, (f"Custom{detail}", "The chain gives this number as its reason"))
            return _refusal(Refusal.REFUSED, *known, detail)
    known = _VALIDITY.get(name, (name[:MAX_SHOWN], "The chain gives this as its reason"))
    return _refusal(Refusal.REFUSED, *known, code)


def _refusal(kind: Refusal, name: str, docs: str, code: int) -> PoolRefusal:
    return PoolRefusal(kind=kind, failure=Failure(type="Pool", name=name, docs=docs, code=code))
