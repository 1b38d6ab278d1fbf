"""What the pool refuses before a block: custom codes of SubtensorTransactionExtension.

Runtime 293 checks stake, staking, registrations and axons; runtime 424 whatever is free of fees, with more codes.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from strongroom.sandbox.bittensor.dispatch import Context, guards, validates
from strongroom.sandbox.bittensor.failures import DispatchError, PoolRefusal
from strongroom.sandbox.bittensor.pallets import (
    children,
    commit_reveal,
    networks,
    neurons,
    registration,
    serving,
    stake_moves,
    stakes,
    staking,
    weights,
)
from strongroom.sandbox.bittensor.pallets.stake_moves import Place
from strongroom.sandbox.bittensor.pallets.view import SUBTENSOR, View
from strongroom.sandbox.bittensor.rules.pool import Side
from strongroom.sandbox.bittensor.rules.weights import commit_hash

IN_SWAP, ZERO_AMOUNT = 0, 14
_BAD_REQUEST: Final = 255
_LEAST_PRIORITY: Final = (1 << 32) - 1
_CODES: Final = {
    "AmountTooLow": 1,
    "NotEnoughStakeToSetWeights": 1,
    "NotEnoughBalanceToStake": 2,
    "SubnetNotExists": 3,
    "HotKeyAccountNotExists": 4,
    "NotEnoughStakeToWithdraw": 5,
    "InsufficientLiquidity": 7,
    "SlippageTooHigh": 8,
    "TransferDisallowed": 9,
    "HotKeyNotRegisteredInNetwork": 10,
    "InvalidIpAddress": 11,
    "ServingRateLimitExceeded": 12,
    "InvalidPort": 13,
}
_CODES_424: Final = {
    "CommittingWeightsTooFast": 6,
    "SettingWeightsTooFast": 6,
    "NetworkTxRateLimitExceeded": 6,
    "InvalidRevealRound": 15,
    "NoWeightsCommitFound": 16,
    "RevealTooEarly": 17,
    "InputLengthsUnequal": 18,
    "HotKeyNotRegisteredInSubNet": 19,
    "NonAssociatedColdKey": 25,
    "DelegateTakeTooLow": 26,
    "DelegateTakeTooHigh": 27,
}

Check = Callable[..., int | None]


def _refuses(*functions: str, since_424: bool | None = None) -> Callable[[Check], Check]:
    """Registers a check for calls; `since_424` None: on both runtimes, else only on the one or the other.

    Runtime 424 makes its checks once more before every such call, also inside wrappers, and before the call's own.
    """

    def register(check: Check) -> Check:
        for function in functions:
            validates(SUBTENSOR, function)(_as_validation(check, since_424))
            if since_424 is not False:
                guards(SUBTENSOR, function)(_as_guard(check))
        return check

    return register


def _as_validation(check: Check, since_424: bool | None) -> Callable[..., int | None]:
    def validate(ctx: Context, **args: Any) -> int | None:
        view = View(ctx)
        if since_424 is not None and since_424 != view.stateful_epochs:
            return None
        try:
            return check(view, ctx.signer, **args)
        except DispatchError as error:
            raise PoolRefusal(code_of(view, error)) from error

    return validate


def _as_guard(check: Check) -> Callable[..., None]:
    def guard(ctx: Context, **args: Any) -> None:
        view = View(ctx)
        if view.stateful_epochs and ctx.origin.account is not None:
            check(view, ctx.origin.account, **args)

    return guard


def code_of(view: View, error: DispatchError) -> int:
    """The number under which the pool tells an error."""
    name = error.detail[1] if error.kind == "Module" else ""
    codes = _CODES | _CODES_424 if view.stateful_epochs else _CODES
    return codes.get(name, _BAD_REQUEST)


@_refuses("set_weights", "set_mechanism_weights")
def _set_weights(view: View, hotkey: bytes, *, netuid: int, mecid: int = 0, **_others: Any) -> int | None:
    _ensure_stake(view, hotkey, [netuid])
    if view.stateful_epochs and not view.get("CommitRevealWeightsEnabled", netuid):
        _ensure_pace(view, hotkey, netuid, mecid, "SettingWeightsTooFast")
    return _priority(view, hotkey, netuid)


@_refuses("commit_weights", "commit_mechanism_weights")
def _commit_weights(view: View, hotkey: bytes, *, netuid: int, mecid: int = 0, **_others: Any) -> int | None:
    _ensure_stake(view, hotkey, [netuid])
    if view.stateful_epochs:
        _ensure_pace(view, hotkey, netuid, mecid, "CommittingWeightsTooFast")
    return _priority(view, hotkey, netuid)


@_refuses("commit_crv3_weights")
def _commit_crv3(view: View, hotkey: bytes, *, netuid: int, **_others: Any) -> int | None:
    _ensure_stake(view, hotkey, [netuid])
    return _priority(view, hotkey, netuid)


@_refuses("commit_timelocked_weights", "commit_timelocked_mechanism_weights", "commit_crv3_mechanism_weights")
def _commit_timelocked(view: View, hotkey: bytes, *, netuid: int, reveal_round: int, **_others: Any) -> None:
    _ensure_stake(view, hotkey, [netuid])
    if reveal_round < view.storage.get("Drand", "LastStoredRound"):
        raise view.error("InvalidRevealRound")


@_refuses("reveal_weights", "reveal_mechanism_weights")
def _reveal(view: View, hotkey: bytes, *, netuid: int, mecid: int = 0, **plain: Any) -> int | None:
    _ensure_stake(view, hotkey, [netuid])
    if view.stateful_epochs:
        reveal = (plain["uids"], plain["values"], plain["salt"], plain["version_key"])
        _ensure_revealable(view, hotkey, netuid, mecid, [reveal])
    return _priority(view, hotkey, netuid)


@_refuses("batch_reveal_weights")
def _batch_reveal(view: View, hotkey: bytes, *, netuid: int, **lists: Any) -> int | None:
    if view.stateful_epochs:
        _ensure_equal(view, lists.values())
    _ensure_stake(view, hotkey, [netuid])
    if view.stateful_epochs:
        names = ("uids_list", "values_list", "salts_list", "version_keys")
        reveals = list(zip(*(lists[name] for name in names), strict=True))
        _ensure_revealable(view, hotkey, netuid, 0, reveals)
    return _priority(view, hotkey, netuid)


@_refuses("batch_set_weights", "batch_commit_weights", since_424=True)
def _batch(view: View, hotkey: bytes, *, netuids: list[int], **lists: Any) -> None:
    _ensure_equal(view, [netuids, *lists.values()])
    _ensure_stake(view, hotkey, netuids)


@_refuses("add_stake", since_424=False)
def _add_stake(view: View, coldkey: bytes, *, hotkey: bytes, netuid: int, amount_staked: int) -> None:
    _ensure_settled(view, coldkey)
    staking.check_add(view, coldkey, hotkey, netuid, amount_staked, amount_staked)


@_refuses("add_stake_limit", since_424=False)
def _add_stake_limit(
    view: View, coldkey: bytes, *, hotkey: bytes, netuid: int, amount_staked: int, **terms: Any
) -> None:
    _ensure_settled(view, coldkey)
    most = _most(view, netuid, Side.BUY, terms["limit_price"])
    staking.check_add(view, coldkey, hotkey, netuid, amount_staked, most, partial=terms["allow_partial"])


@_refuses("remove_stake", since_424=False)
def _remove_stake(view: View, coldkey: bytes, *, hotkey: bytes, netuid: int, amount_unstaked: int) -> None:
    staking.check_remove(view, coldkey, hotkey, netuid, amount_unstaked, amount_unstaked)


@_refuses("remove_stake_limit", since_424=False)
def _remove_stake_limit(
    view: View, coldkey: bytes, *, hotkey: bytes, netuid: int, amount_unstaked: int, **terms: Any
) -> None:
    most = _most(view, netuid, Side.SELL, terms["limit_price"])
    partial = terms["allow_partial"]
    staking.check_remove(view, coldkey, hotkey, netuid, amount_unstaked, most, partial=partial)


@_refuses("unstake_all", since_424=False)
def _unstake_all(view: View, coldkey: bytes, *, hotkey: bytes) -> None:
    if not staking.removable(view, coldkey, hotkey):
        raise view.error("AmountTooLow")


@_refuses("unstake_all_alpha", since_424=False)
def _unstake_all_alpha(view: View, coldkey: bytes, *, hotkey: bytes) -> None:
    if not any(netuid for netuid, _ in staking.removable(view, coldkey, hotkey)):
        raise view.error("AmountTooLow")


@_refuses("move_stake", since_424=False)
def _move_stake(view: View, coldkey: bytes, **args: Any) -> None:
    _ensure_settled(view, coldkey)
    source = Place(args["origin_hotkey"], coldkey, args["origin_netuid"])
    target = Place(args["destination_hotkey"], coldkey, args["destination_netuid"])
    stake_moves.check(view, source, target, args["alpha_amount"])


@_refuses("transfer_stake", "swap_stake", since_424=False)
def _transfer_stake(view: View, coldkey: bytes, **args: Any) -> None:
    _ensure_settled(view, coldkey)
    source = Place(args["hotkey"], coldkey, args["origin_netuid"])
    owner = args.get("destination_coldkey", coldkey)
    target = Place(args["hotkey"], owner, args["destination_netuid"])
    stake_moves.check(view, source, target, args["alpha_amount"])


@_refuses("register", "burned_register", since_424=False)
def _register(view: View, signer: bytes, /, *, netuid: int, **_others: Any) -> None:
    _ensure_settled(view, signer)
    if registration.exceeds_interval(view, netuid):
        raise PoolRefusal(6)


@_refuses("register_network", since_424=True)
def _register_network(view: View, _coldkey: bytes, **_others: Any) -> None:
    if not networks.passes_rate_limit(view):
        raise view.error("NetworkTxRateLimitExceeded")


@_refuses("serve_axon")
def _serve_axon(view: View, hotkey: bytes, *, netuid: int, **endpoint: Any) -> None:
    serving.check_axon(view, hotkey, netuid, endpoint)


@_refuses("serve_axon_tls", since_424=True)
def _serve_axon_tls(view: View, hotkey: bytes, *, netuid: int, **endpoint: Any) -> None:
    serving.check_axon(view, hotkey, netuid, endpoint)


@_refuses("serve_prometheus", since_424=True)
def _serve_prometheus(view: View, hotkey: bytes, *, netuid: int, **endpoint: Any) -> None:
    serving.check_prometheus(view, hotkey, netuid, endpoint)


@_refuses("increase_take", "decrease_take", since_424=True)
def _change_take(view: View, coldkey: bytes, *, hotkey: bytes, take: int) -> None:
    if take < view.get("MinDelegateTake"):
        raise view.error("DelegateTakeTooLow")
    if take > view.get("MaxDelegateTake"):
        raise view.error("DelegateTakeTooHigh")
    children.check_owner(view, coldkey, hotkey)


def _priority(view: View, hotkey: bytes, netuid: int) -> int | None:
    """Runtime 293 puts weights behind all else, those longest without an update first; 424 has no opinion."""
    if view.stateful_epochs:
        return None
    uid = neurons.uid_of(view, netuid, hotkey)
    if uid is None:
        return 0
    return _LEAST_PRIORITY + view.block - neurons.last_update(view, netuid, uid)


def _ensure_stake(view: View, hotkey: bytes, netuids: Iterable[int]) -> None:
    if not all(stakes.may_set_weights(view, netuid, hotkey) for netuid in netuids):
        raise view.error("NotEnoughStakeToSetWeights")


def _ensure_pace(view: View, hotkey: bytes, netuid: int, mechanism: int, error: str) -> None:
    uid = neurons.uid_of(view, netuid, hotkey)
    index = neurons.mechanism_index(netuid, mechanism)
    if uid is not None and not weights.passes_rate_limit(view, netuid, index, uid):
        raise view.error(error)


def _ensure_revealable(
    view: View, hotkey: bytes, netuid: int, mechanism: int, reveals: Iterable[tuple[Any, ...]]
) -> None:
    index = neurons.mechanism_index(netuid, mechanism)
    commits = {commit[0]: commit for commit in view.get("WeightCommits", index, hotkey) or []}
    for reveal in reveals:
        commit = commits.get(commit_hash(hotkey, index, *reveal))
        if commit is None:
            raise view.error("NoWeightsCommitFound")
        if not commit_reveal.is_in_window(view, netuid, commit):
            raise view.error("RevealTooEarly")


def _ensure_equal(view: View, lists: Iterable[Any]) -> None:
    if len({len(items) for items in lists}) != 1:
        raise view.error("InputLengthsUnequal")


def _ensure_settled(view: View, coldkey: bytes) -> None:
    """A coldkey that is being swapped may do little."""
    if view.has_item("ColdkeySwapScheduled") and view.contains("ColdkeySwapScheduled", coldkey):
        raise PoolRefusal(IN_SWAP)


def _most(view: View, netuid: int, side: Side, limit: int) -> int:
    try:
        return staking.most_within(view, netuid, side, limit)
    except DispatchError as error:
        raise PoolRefusal(ZERO_AMOUNT) from error
