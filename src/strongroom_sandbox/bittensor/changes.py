"""Changes of the chain's state on request: money, subnets, neurons, hyperparameters.

Each makes a change for `Node.produce`, so that every state a client can read belongs to a block.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from strongroom_sandbox.bittensor.codec.runtime import Call
from strongroom_sandbox.bittensor.execution import accounts
from strongroom_sandbox.bittensor.execution.dispatch import Context, Origin
from strongroom_sandbox.bittensor.pallets.shared import neurons, stakes
from strongroom_sandbox.bittensor.pallets.shared.view import Pallet

SUBTENSOR = "SubtensorModule"
REGISTRATION_RAO = 10**16
"""Given to a subnet's owner before he registers it; what he does not spend is taken back."""

Change = Callable[[Context], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Neuron:
    """A hotkey on a subnet. `stake` is alpha in rao, `permit` None leaves it to the epochs."""

    netuid: int
    hotkey: bytes
    coldkey: bytes
    stake: int = 0
    permit: bool | None = None


def fund(account: bytes, amount: int) -> Change:
    """Adds rao to a balance."""

    def change(ctx: Context) -> None:
        accounts.deposit(ctx, account, amount)
        ctx.change("Balances", "TotalIssuance", by=lambda issued: issued + amount)

    return change


def put(pallet: str, item: str, keys: list[Any], value: Any) -> Change:
    """Stores a value, or removes it when that is None."""

    def change(ctx: Context) -> None:
        if value is None:
            ctx.remove(pallet, item, *keys)
        else:
            ctx.put(pallet, item, *keys, value=value)

    return change


def create_subnet(coldkey: bytes, hotkey: bytes, settings: dict[str, Any]) -> Callable[[Context], int]:
    """Registers a subnet as its owner would, then stores settings (`Tempo` ...) and opens it for stake.

    The change returns its netuid.
    """

    def change(ctx: Context) -> int:
        before = set(neurons.netuids(Pallet(ctx)))
        limit = ctx.get(SUBTENSOR, "NetworkRateLimit")
        ctx.put(SUBTENSOR, "NetworkRateLimit", value=0)
        balance = accounts.free(ctx, coldkey)
        accounts.set_free(ctx, coldkey, balance + REGISTRATION_RAO)
        ctx.dispatch(Call(SUBTENSOR, "register_network", {"hotkey": hotkey}), Origin(account=coldkey))
        accounts.set_free(ctx, coldkey, balance)
        ctx.put(SUBTENSOR, "NetworkRateLimit", value=limit)
        (netuid,) = set(neurons.netuids(Pallet(ctx))) - before
        for item, value in {"SubtokenEnabled": True, **settings}.items():
            ctx.put(SUBTENSOR, item, netuid, value=value)
        return netuid

    return change


def add_neuron(neuron: Neuron) -> Callable[[Context], int]:
    """Registers a hotkey free of charge and of limits; grants stake and a permit. The change returns its uid."""

    def change(ctx: Context) -> int:
        pallet = Pallet(ctx)
        neurons.create_account(pallet, neuron.coldkey, neuron.hotkey)
        uid = neurons.uid_of(pallet, neuron.netuid, neuron.hotkey)
        if uid is None:
            uid = neurons.append(pallet, neuron.netuid, neuron.hotkey)
            ctx.deposit_event(SUBTENSOR, "NeuronRegistered", (neuron.netuid, uid, neuron.hotkey))
        if neuron.stake:
            stakes.add(pallet, neuron.hotkey, neuron.coldkey, neuron.netuid, neuron.stake)
            pallet.change("SubnetAlphaOut", neuron.netuid, by=lambda alpha: alpha + neuron.stake)
        if neuron.permit is not None:
            _set_permit(pallet, neuron.netuid, uid, permit=neuron.permit)
        return uid

    return change


def _set_permit(pallet: Pallet, netuid: int, uid: int, *, permit: bool) -> None:
    permits = list(pallet.get("ValidatorPermit", netuid))
    permits[uid] = permit
    pallet.put("ValidatorPermit", netuid, value=permits)
