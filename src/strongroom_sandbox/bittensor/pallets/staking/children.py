"""Childkeys, the takes of hotkeys, and a hotkey's owner."""

from typing import Final

from strongroom_sandbox.bittensor.execution.dispatch import Context, call
from strongroom_sandbox.bittensor.pallets.shared import neurons, stakes
from strongroom_sandbox.bittensor.pallets.shared.cost import db
from strongroom_sandbox.bittensor.pallets.shared.view import SUBTENSOR, Pallet, View

ROOT: Final = 0
_MAX_CHILDREN: Final = 5
_U64_MAX: Final = (1 << 64) - 1
_SET_CHILDREN, _SET_TAKE = 0, 1
_SET_CHILDREN_PACE: Final = 150

Children = list[tuple[int, bytes]]


@call(SUBTENSOR, "set_children", ref_time=db(119_000_000, reads=6, writes=31), dispatch_class="Operational")
def set_children(ctx: Context, hotkey: bytes, netuid: int, children: Children) -> None:
    pallet = Pallet(ctx)
    if not _passes(pallet, hotkey, netuid, _SET_CHILDREN, _SET_CHILDREN_PACE):
        raise pallet.error("TxRateLimitExceeded")
    if netuid == ROOT:
        raise pallet.error("RegistrationNotPermittedOnRootSubnet")
    if not neurons.exists(pallet, netuid):
        raise pallet.error("SubnetNotExists" if pallet.stateful_epochs else "SubNetworkDoesNotExist")
    if not neurons.owns(pallet, ctx.signer, hotkey):
        raise pallet.error("NonAssociatedColdKey")
    _check(pallet, hotkey, children)
    rich = stakes.total_of_hotkey(pallet, hotkey) >= pallet.get("StakeThreshold")
    if children and not rich and pallet.get("SubnetOwnerHotkey", netuid) != hotkey:
        raise pallet.error("NotEnoughStakeToSetChildkeys")
    _note(pallet, hotkey, netuid, _SET_CHILDREN)
    if pallet.stateful_epochs and not pallet.get("SubtokenEnabled", netuid):
        _apply(pallet, netuid, hotkey, children)
        return
    block = pallet.block + pallet.get("PendingChildKeyCooldown")
    pallet.put("PendingChildKeys", netuid, hotkey, value=(children, block))
    pallet.event("SetChildrenScheduled", hotkey, netuid, block, children)


@call(SUBTENSOR, "set_childkey_take", ref_time=db(46_330_000, reads=5, writes=2))
def set_childkey_take(ctx: Context, hotkey: bytes, netuid: int, take: int) -> None:
    pallet = Pallet(ctx)
    if not neurons.owns(pallet, ctx.signer, hotkey):
        raise pallet.error("NonAssociatedColdKey")
    if take > pallet.get("MaxChildkeyTake"):
        raise pallet.error("InvalidChildkeyTake")
    raised = take > pallet.get("ChildkeyTake", hotkey, netuid)
    pace = pallet.get("TxChildkeyTakeRateLimit")
    if raised and not _passes(pallet, hotkey, netuid, _SET_TAKE, pace):
        raise pallet.error("TxChildkeyTakeRateLimitExceeded")
    _note(pallet, hotkey, netuid, _SET_TAKE)
    pallet.put("ChildkeyTake", hotkey, netuid, value=take)
    pallet.event("ChildKeyTakeSet", hotkey, take)


@call(SUBTENSOR, "increase_take", ref_time=db(44_630_000, reads=5, writes=2), pays_fee=False)
def increase_take(ctx: Context, hotkey: bytes, take: int) -> None:
    pallet = Pallet(ctx)
    check_owner(pallet, ctx.signer, hotkey)
    if pallet.contains("Delegates", hotkey) and take <= pallet.get("Delegates", hotkey):
        raise pallet.error("DelegateTakeTooLow")
    if take > pallet.get("MaxDelegateTake"):
        raise pallet.error("DelegateTakeTooHigh")
    last, limit = pallet.get("LastTxBlockDelegateTake", hotkey), pallet.get("TxDelegateTakeRateLimit")
    if limit and last and pallet.block - last <= limit:
        raise pallet.error("DelegateTxRateLimitExceeded")
    _set_take(pallet, hotkey, take, "TakeIncreased")


@call(SUBTENSOR, "decrease_take", ref_time=db(37_380_000, reads=3, writes=2), pays_fee=False)
def decrease_take(ctx: Context, hotkey: bytes, take: int) -> None:
    pallet = Pallet(ctx)
    check_owner(pallet, ctx.signer, hotkey)
    if pallet.contains("Delegates", hotkey) and take >= pallet.get("Delegates", hotkey):
        raise pallet.error("DelegateTakeTooLow")
    if take < pallet.get("MinDelegateTake"):
        raise pallet.error("DelegateTakeTooLow")
    _set_take(pallet, hotkey, take, "TakeDecreased")


@call(
    SUBTENSOR,
    "try_associate_hotkey",
    ref_time=db(32_560_000, reads=3, writes=3),
    dispatch_class="Operational",
)
def try_associate_hotkey(ctx: Context, hotkey: bytes) -> None:
    neurons.create_account(Pallet(ctx), ctx.signer, hotkey)


def check_owner(view: View, coldkey: bytes, hotkey: bytes) -> None:
    """Raises: DispatchError: the hotkey is unknown, or another's."""
    if not view.contains("Owner", hotkey):
        raise view.error("HotKeyAccountNotExists")
    if not neurons.owns(view, coldkey, hotkey):
        raise view.error("NonAssociatedColdKey")


def apply_pending(pallet: Pallet, netuid: int) -> None:
    """What was scheduled takes effect in the block of an epoch."""
    for (_, hotkey), (children, block) in pallet.entries("PendingChildKeys", netuid):
        if block < pallet.block:
            _apply(pallet, netuid, hotkey, children)
            pallet.remove("PendingChildKeys", netuid, hotkey)


def _check(view: View, hotkey: bytes, children: Children) -> None:
    keys = [child for _, child in children]
    if view.stateful_epochs and len(set(keys)) != len(keys):
        raise view.error("DuplicateChild")
    if len(children) > _MAX_CHILDREN:
        raise view.error("TooManyChildren")
    if hotkey in keys:
        raise view.error("InvalidChild")
    if sum(part for part, _ in children) > _U64_MAX:
        raise view.error("ProportionOverflow")
    if len(set(keys)) != len(keys):
        raise view.error("DuplicateChild")


def _apply(pallet: Pallet, netuid: int, hotkey: bytes, children: Children) -> None:
    for _, child in pallet.get("ChildKeys", hotkey, netuid):
        kept = [(part, key) for part, key in pallet.get("ParentKeys", child, netuid) if key != hotkey]
        pallet.put("ParentKeys", child, netuid, value=kept)
    pallet.put("ChildKeys", hotkey, netuid, value=children)
    for part, child in children:
        pallet.put(
            "ParentKeys", child, netuid, value=[*pallet.get("ParentKeys", child, netuid), (part, hotkey)]
        )
    pallet.event("SetChildren", hotkey, netuid, children)


def _set_take(pallet: Pallet, hotkey: bytes, take: int, event: str) -> None:
    pallet.put("LastTxBlockDelegateTake", hotkey, value=pallet.block)
    pallet.put("Delegates", hotkey, value=take)
    pallet.event(event, pallet.signer, hotkey, take)


def _passes(view: View, hotkey: bytes, netuid: int, kind: int, limit: int) -> bool:
    last = view.get("TransactionKeyLastBlock", hotkey, netuid, kind)
    return not last or view.block - last >= limit


def _note(pallet: Pallet, hotkey: bytes, netuid: int, kind: int) -> None:
    pallet.put("TransactionKeyLastBlock", hotkey, netuid, kind, value=pallet.block)
