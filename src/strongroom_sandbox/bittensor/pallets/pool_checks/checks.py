"""What the pool refuses of stake, registrations and endpoints.

Runtime 293 checks staking, registrations and axons; runtime 424 leaves staking to the call and checks what is free of fees.
"""

from typing import Any

from strongroom_sandbox.bittensor.execution.failures import DispatchError, PoolRefusal
from strongroom_sandbox.bittensor.pallets import networks, registration, serving
from strongroom_sandbox.bittensor.pallets.pool_checks.codes import IN_SWAP, RATE_LIMIT, ZERO_AMOUNT, refuses
from strongroom_sandbox.bittensor.pallets.shared.view import View
from strongroom_sandbox.bittensor.pallets.staking import children, stake_moves, staking
from strongroom_sandbox.bittensor.pallets.staking.stake_moves import StakePosition
from strongroom_sandbox.bittensor.rules.pool import Side


@refuses("add_stake", since_424=False)
def _add_stake(view: View, coldkey: bytes, *, hotkey: bytes, netuid: int, amount_staked: int) -> None:
    _ensure_settled(view, coldkey)
    staking.check_add(view, coldkey, hotkey, netuid, amount_staked, amount_staked)


@refuses("add_stake_limit", since_424=False)
def _add_stake_limit(
    view: View, coldkey: bytes, *, hotkey: bytes, netuid: int, amount_staked: int, **terms: Any
) -> None:
    _ensure_settled(view, coldkey)
    most = _most(view, netuid, Side.BUY, terms["limit_price"])
    staking.check_add(view, coldkey, hotkey, netuid, amount_staked, most, partial=terms["allow_partial"])


@refuses("remove_stake", since_424=False)
def _remove_stake(view: View, coldkey: bytes, *, hotkey: bytes, netuid: int, amount_unstaked: int) -> None:
    staking.check_remove(view, coldkey, hotkey, netuid, amount_unstaked, amount_unstaked)


@refuses("remove_stake_limit", since_424=False)
def _remove_stake_limit(
    view: View, coldkey: bytes, *, hotkey: bytes, netuid: int, amount_unstaked: int, **terms: Any
) -> None:
    most = _most(view, netuid, Side.SELL, terms["limit_price"])
    partial = terms["allow_partial"]
    staking.check_remove(view, coldkey, hotkey, netuid, amount_unstaked, most, partial=partial)


@refuses("unstake_all", since_424=False)
def _unstake_all(view: View, coldkey: bytes, *, hotkey: bytes) -> None:
    if not staking.removable(view, coldkey, hotkey):
        raise view.error("AmountTooLow")


@refuses("unstake_all_alpha", since_424=False)
def _unstake_all_alpha(view: View, coldkey: bytes, *, hotkey: bytes) -> None:
    if not any(netuid for netuid, _ in staking.removable(view, coldkey, hotkey)):
        raise view.error("AmountTooLow")


@refuses("move_stake", since_424=False)
def _move_stake(view: View, coldkey: bytes, **args: Any) -> None:
    _ensure_settled(view, coldkey)
    source = StakePosition(args["origin_hotkey"], coldkey, args["origin_netuid"])
    target = StakePosition(args["destination_hotkey"], coldkey, args["destination_netuid"])
    stake_moves.check(view, source, target, args["alpha_amount"])


@refuses("transfer_stake", "swap_stake", since_424=False)
def _transfer_stake(view: View, coldkey: bytes, **args: Any) -> None:
    _ensure_settled(view, coldkey)
    source = StakePosition(args["hotkey"], coldkey, args["origin_netuid"])
    owner = args.get("destination_coldkey", coldkey)
    target = StakePosition(args["hotkey"], owner, args["destination_netuid"])
    stake_moves.check(view, source, target, args["alpha_amount"])


@refuses("register", "burned_register", since_424=False)
def _register(view: View, signer: bytes, /, *, netuid: int, **_others: Any) -> None:
    _ensure_settled(view, signer)
    if registration.exceeds_interval(view, netuid):
        raise PoolRefusal(RATE_LIMIT)


@refuses("register_network", since_424=True)
def _register_network(view: View, _coldkey: bytes, **_others: Any) -> None:
    if not networks.passes_rate_limit(view):
        raise view.error("NetworkTxRateLimitExceeded")


@refuses("serve_axon")
def _serve_axon(view: View, hotkey: bytes, *, netuid: int, **endpoint: Any) -> None:
    serving.check_axon(view, hotkey, netuid, endpoint)


@refuses("serve_axon_tls", since_424=True)
def _serve_axon_tls(view: View, hotkey: bytes, *, netuid: int, **endpoint: Any) -> None:
    serving.check_axon(view, hotkey, netuid, endpoint)


@refuses("serve_prometheus", since_424=True)
def _serve_prometheus(view: View, hotkey: bytes, *, netuid: int, **endpoint: Any) -> None:
    serving.check_prometheus(view, hotkey, netuid, endpoint)


@refuses("increase_take", "decrease_take", since_424=True)
def _change_take(view: View, coldkey: bytes, *, hotkey: bytes, take: int) -> None:
    if take < view.get("MinDelegateTake"):
        raise view.error("DelegateTakeTooLow")
    if take > view.get("MaxDelegateTake"):
        raise view.error("DelegateTakeTooHigh")
    children.check_owner(view, coldkey, hotkey)


def _ensure_settled(view: View, coldkey: bytes) -> None:
    """A coldkey that is being swapped may do little."""
    if view.has_item("ColdkeySwapScheduled") and view.contains("ColdkeySwapScheduled", coldkey):
        raise PoolRefusal(IN_SWAP)


def _most(view: View, netuid: int, side: Side, limit: int) -> int:
    try:
        return staking.most_within(view, netuid, side, limit)
    except DispatchError as error:
        raise PoolRefusal(ZERO_AMOUNT) from error
