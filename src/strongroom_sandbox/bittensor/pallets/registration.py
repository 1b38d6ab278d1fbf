"""Neurons come to a subnet: against a burn, and to the root network."""

from typing import Final

from strongroom_sandbox.bittensor.execution.dispatch import Context, call
from strongroom_sandbox.bittensor.pallets.shared import coldkeys, neurons, stakes
from strongroom_sandbox.bittensor.pallets.shared.cost import free_once
from strongroom_sandbox.bittensor.pallets.shared.view import SUBTENSOR, Pallet, View
from strongroom_sandbox.bittensor.rules import prices

ROOT: Final = 0
_BURST: Final = 3
_DELEGATE_TAKE: Final = 11_796


@call(SUBTENSOR, "burned_register", weight=free_once(354_400_000, reads=49, writes=43))
def burned_register(ctx: Context, netuid: int, hotkey: bytes) -> None:
    pallet = Pallet(ctx)
    _check(pallet, netuid, hotkey)
    burn = pallet.get("Burn", netuid)
    if not coldkeys.can_pay(pallet, ctx.signer, burn):
        raise pallet.error("NotEnoughBalanceToStake")
    neurons.create_account(pallet, ctx.signer, hotkey)
    if not neurons.owns(pallet, ctx.signer, hotkey):
        raise pallet.error("NonAssociatedColdKey")
    if not pallet.get("MaxAllowedUids", netuid):
        raise pallet.error("NoNeuronIdAvailable")
    paid = coldkeys.spend(pallet, ctx.signer, burn, netuid)
    alpha = stakes.buy(pallet, netuid, paid).paid_out
    pallet.change("SubnetAlphaOut", netuid, by=lambda out: max(0, out - alpha))
    uid = _place(pallet, netuid, hotkey)
    _count(pallet, netuid, burn)
    pallet.event("NeuronRegistered", netuid, uid, hotkey)


@call(SUBTENSOR, "register_limit", weight=free_once(354_400_000, reads=49, writes=43))
def register_limit(ctx: Context, netuid: int, hotkey: bytes, limit_price: int) -> None:
    """Runtime 424: a registration that may cost no more than `limit_price`."""
    pallet = Pallet(ctx)
    _ensure_subnet(pallet, netuid)
    if pallet.get("Burn", netuid) > limit_price:
        raise pallet.error("RegistrationPriceLimitExceeded")
    burned_register(ctx, netuid, hotkey)


@call(SUBTENSOR, "register", weight=free_once(216_200_000, reads=26, writes=23))
def register(ctx: Context, netuid: int, hotkey: bytes, **work: object) -> None:
    """By proof of work on 293, where nothing that is sent here counts as such; on 424 a burn under its old name."""
    if Pallet(ctx).stateful_epochs:
        burned_register(ctx, netuid, hotkey)
        return
    pallet = Pallet(ctx)
    if ctx.signer != hotkey:
        raise pallet.error("TransactorAccountShouldBeHotKey")
    _check(pallet, netuid, hotkey)
    block = work["block_number"]
    if not isinstance(block, int) or not pallet.block - _BURST < block <= pallet.block:
        raise pallet.error("InvalidWorkBlock")
    raise pallet.error("InvalidDifficulty")


@call(SUBTENSOR, "root_register", weight=free_once(145_500_000, reads=23, writes=20))
def root_register(ctx: Context, hotkey: bytes) -> None:
    pallet = Pallet(ctx)
    if not neurons.exists(pallet, ROOT):
        raise pallet.error("RootNetworkDoesNotExist")
    _check_pace(pallet, ROOT)
    if neurons.uid_of(pallet, ROOT, hotkey) is not None:
        raise pallet.error("HotKeyAlreadyRegisteredInSubNet")
    neurons.create_account(pallet, ctx.signer, hotkey)
    uid = _place_on_root(pallet, hotkey)
    _join_senate(pallet, hotkey)
    if not pallet.contains("Delegates", hotkey):
        pallet.put("Delegates", hotkey, value=_DELEGATE_TAKE)
    for item in ("RegistrationsThisInterval", "RegistrationsThisBlock"):
        pallet.change(item, ROOT, by=lambda count: count + 1)
    pallet.event("NeuronRegistered", ROOT, uid, hotkey)


def exceeds_interval(view: View, netuid: int) -> bool:
    """Whether the interval has had three times the registrations it aims at."""
    target = view.get("TargetRegistrationsPerInterval", netuid)
    return bool(view.get("RegistrationsThisInterval", netuid) >= _BURST * target)


def _ensure_subnet(view: View, netuid: int) -> None:
    if netuid == ROOT:
        raise view.error("RegistrationNotPermittedOnRootSubnet")
    if not neurons.exists(view, netuid):
        raise view.error("SubnetNotExists" if view.stateful_epochs else "SubNetworkDoesNotExist")


def _check(view: View, netuid: int, hotkey: bytes) -> None:
    _ensure_subnet(view, netuid)
    if not view.get("NetworkRegistrationAllowed", netuid):
        raise view.error("SubNetRegistrationDisabled")
    if not view.stateful_epochs:
        _check_pace(view, netuid)
    if neurons.uid_of(view, netuid, hotkey) is not None:
        raise view.error("HotKeyAlreadyRegisteredInSubNet")


def _check_pace(view: View, netuid: int) -> None:
    if view.get("RegistrationsThisBlock", netuid) >= view.get("MaxRegistrationsPerBlock", netuid):
        raise view.error("TooManyRegistrationsThisBlock")
    if exceeds_interval(view, netuid):
        raise view.error("TooManyRegistrationsThisInterval")


def _place(pallet: Pallet, netuid: int, hotkey: bytes) -> int:
    if pallet.get("SubnetworkN", netuid) < pallet.get("MaxAllowedUids", netuid):
        return neurons.append(pallet, netuid, hotkey)
    uid = neurons.to_prune(pallet, netuid)
    neurons.replace(pallet, netuid, uid, hotkey)
    return uid


def _place_on_root(pallet: Pallet, hotkey: bytes) -> int:
    if pallet.get("SubnetworkN", ROOT) < pallet.get("MaxAllowedUids", ROOT):
        return neurons.append(pallet, ROOT, hotkey)
    held = [pallet.get("TotalHotkeyAlpha", key, ROOT) for key in neurons.hotkeys(pallet, ROOT)]
    uid = held.index(min(held))
    if held[uid] >= pallet.get("TotalHotkeyAlpha", hotkey, ROOT):
        raise pallet.error("StakeTooLowForRoot")
    neurons.replace(pallet, ROOT, uid, hotkey)
    return uid


def _join_senate(pallet: Pallet, hotkey: bytes) -> None:
    """Runtime 293 has a senate, of which every root validator becomes a member."""
    if not pallet.ctx.has_item("SenateMembers", "Members"):
        return
    senate = pallet.writing("SenateMembers")
    senate.put("Members", value=sorted([*senate.get("Members"), hotkey]))
    senate.event("MemberAdded")


def _count(pallet: Pallet, netuid: int, burn: int) -> None:
    if pallet.stateful_epochs:
        _raise_burn(pallet, netuid)
    else:
        pallet.change("BurnRegistrationsThisInterval", netuid, by=lambda count: count + 1)
        pallet.change("RegistrationsThisInterval", netuid, by=lambda count: count + 1)
    pallet.change("RegistrationsThisBlock", netuid, by=lambda count: count + 1)
    total = pallet.change("RAORecycledForRegistration", netuid, by=lambda rao: rao + burn)
    pallet.event("RAORecycledForRegistrationSet", netuid, total)


def _raise_burn(pallet: Pallet, netuid: int) -> None:
    raised = prices.raised_burn(
        burn=pallet.get("Burn", netuid),
        factor=pallet.get("BurnIncreaseMult", netuid)["bits"],
        least=pallet.get("MinBurn", netuid),
        most=pallet.get("MaxBurn", netuid),
    )
    pallet.put("Burn", netuid, value=raised)
