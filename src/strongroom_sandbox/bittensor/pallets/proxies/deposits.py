"""What an account leaves on deposit while the chain stores something for it."""

from strongroom_sandbox.bittensor.execution import accounts
from strongroom_sandbox.bittensor.execution.dispatch import Context
from strongroom_sandbox.bittensor.execution.failures import DispatchError


def required(ctx: Context, what: str, count: int) -> int:
    """The deposit for so many: `what` is Proxy or Announcement, as the constants are named."""
    if not count:
        return 0
    each: int = ctx.constant("Proxy", f"{what}DepositFactor")
    base: int = ctx.constant("Proxy", f"{what}DepositBase")
    return base + each * count


def adjust(ctx: Context, who: bytes, held: int, wanted: int) -> None:
    """Reserves or frees the difference.

    Raises:
        DispatchError: Balances.InsufficientBalance.
    """
    more = wanted - held
    if not more:
        return
    record = accounts.account(ctx, who)
    if more > record["data"]["free"] - accounts.EXISTENTIAL_DEPOSIT:
        raise DispatchError.module("Balances", "InsufficientBalance")
    record["data"]["free"] -= more
    record["data"]["reserved"] += more
    ctx.put("System", "Account", who, value=record)
    name = "Reserved" if more > 0 else "Unreserved"
    ctx.deposit_event("Balances", name, {"who": who, "amount": abs(more)})
