"""TAO between a coldkey's balance and the subnets.

Runtime 293 takes it out of existence and issues it again; runtime 424 moves it to and from an account of the subnet.
"""

from typing import Final

from strongroom_sandbox.bittensor.execution import accounts
from strongroom_sandbox.bittensor.execution.dispatch import Context
from strongroom_sandbox.bittensor.execution.failures import DispatchError
from strongroom_sandbox.bittensor.pallets.shared.view import Pallet, View

_SUBNET_ACCOUNT: Final = b"modlsubtensr"


def can_pay(view: View, coldkey: bytes, amount: int) -> bool:
    return accounts.free(view.storage, coldkey) >= amount


def spend(pallet: Pallet, coldkey: bytes, amount: int, netuid: int) -> int:
    """Takes TAO for a subnet and leaves the existential deposit; gives what was really taken.

    Raises:
        DispatchError: there is nothing to take.
    """
    taken = min(amount, accounts.free(pallet.ctx, coldkey) - accounts.EXISTENTIAL_DEPOSIT)
    if not amount:
        return 0
    if taken <= 0:
        name = "InsufficientBalance" if pallet.stateful_epochs else "ZeroBalanceAfterWithdrawn"
        raise pallet.error(name)
    if pallet.stateful_epochs:
        transfer(pallet.ctx, coldkey, subnet_account(netuid), taken)
    else:
        accounts.withdraw(pallet.ctx, coldkey, taken)
        issue(pallet.ctx, -taken)
    return taken


def earn(pallet: Pallet, coldkey: bytes, amount: int, netuid: int) -> None:
    """Pays TAO out of a subnet."""
    if pallet.stateful_epochs:
        transfer(pallet.ctx, subnet_account(netuid), coldkey, amount)
    else:
        accounts.deposit(pallet.ctx, coldkey, amount)
        issue(pallet.ctx, amount)


def transfer(ctx: Context, source: bytes, target: bytes, amount: int, *, keep_alive: bool = False) -> None:
    """Moves a balance, events as Balances has them.

    Raises:
        DispatchError: Token.FundsUnavailable, NotExpendable or BelowMinimum.
    """
    balance = accounts.free(ctx, source)
    if balance < amount:
        raise DispatchError.token("FundsUnavailable")
    if keep_alive and source != target and balance - amount < accounts.EXISTENTIAL_DEPOSIT:
        raise DispatchError.token("NotExpendable")
    if not accounts.exists(ctx, target) and amount < accounts.EXISTENTIAL_DEPOSIT:
        raise DispatchError.token("BelowMinimum")
    if source != target:
        accounts.set_free(ctx, target, accounts.free(ctx, target) + amount)
        accounts.set_free(ctx, source, balance - amount)
    ctx.deposit_event("Balances", "Transfer", {"from": source, "to": target, "amount": amount})


def issue(ctx: Context, amount: int) -> None:
    """Adds to the total issuance what came into existence; a negative amount left it."""
    ctx.change("Balances", "TotalIssuance", by=lambda total: max(0, total + amount))


def subnet_account(netuid: int) -> bytes:
    """Returns the account in which runtime 424 keeps a subnet's TAO."""
    return (_SUBNET_ACCOUNT + netuid.to_bytes(2, "little")).ljust(32, b"\0")
