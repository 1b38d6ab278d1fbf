"""Accounts and their free balances, as `System.Account` holds them. Amounts are in rao."""

from typing import Any

from strongroom_sandbox.bittensor.execution.dispatch import Context
from strongroom_sandbox.bittensor.execution.failures import DispatchError
from strongroom_sandbox.bittensor.state.storage import Storage

EXISTENTIAL_DEPOSIT = 500
NEW_LOGIC_FLAG = 1 << 127
"""Every account made by today's runtimes carries it in `flags`."""


def account(storage: Storage, who: bytes) -> dict[str, Any]:
    """The record: nonce, consumers, providers, sufficients, data {free, reserved, frozen, flags}."""
    found: dict[str, Any] = storage.get("System", "Account", who)
    return found


def exists(storage: Storage, who: bytes) -> bool:
    return bool(account(storage, who)["providers"])


def free(storage: Storage, who: bytes) -> int:
    return int(account(storage, who)["data"]["free"])


def nonce(storage: Storage, who: bytes) -> int:
    return int(account(storage, who)["nonce"])


def use_nonce(storage: Storage, who: bytes) -> None:
    record = account(storage, who)
    record["nonce"] += 1
    storage.put("System", "Account", who, value=record)


def set_free(ctx: Context, who: bytes, amount: int) -> None:
    """Stores a balance; makes the account or removes it as the existential deposit says, with those events."""
    record = account(ctx, who)
    lived = bool(record["providers"])
    lives = amount >= EXISTENTIAL_DEPOSIT or bool(record["data"]["reserved"])
    record["data"]["free"] = amount if lives else 0
    record["data"]["flags"] |= NEW_LOGIC_FLAG
    if lives and not lived:
        record["providers"] += 1
        ctx.deposit_event("System", "NewAccount", {"account": who})
        ctx.deposit_event("Balances", "Endowed", {"account": who, "free_balance": amount})
    ctx.put("System", "Account", who, value=record)
    if lived and not lives:
        ctx.remove("System", "Account", who)
        ctx.deposit_event("System", "KilledAccount", {"account": who})
        if amount:
            ctx.change("Balances", "TotalIssuance", by=lambda issued: issued - amount)
            ctx.deposit_event("Balances", "DustLost", {"account": who, "amount": amount})


def withdraw(ctx: Context, who: bytes, amount: int, *, preserve: bool = False) -> None:
    """Takes from a balance, event Withdraw.

    Raises:
        DispatchError: Token.FundsUnavailable; Token.NotExpendable when `preserve` and the account would end.
    """
    balance = free(ctx, who)
    if balance < amount:
        raise DispatchError.token("FundsUnavailable")
    if preserve and balance - amount < EXISTENTIAL_DEPOSIT:
        raise DispatchError.token("NotExpendable")
    ctx.deposit_event("Balances", "Withdraw", {"who": who, "amount": amount})
    set_free(ctx, who, balance - amount)


def deposit(ctx: Context, who: bytes, amount: int) -> None:
    """Adds to a balance, event Deposit.

    Raises:
        DispatchError: Token.BelowMinimum: a new account would have less than the existential deposit.
    """
    if not exists(ctx, who) and amount < EXISTENTIAL_DEPOSIT:
        raise DispatchError.token("BelowMinimum")
    set_free(ctx, who, free(ctx, who) + amount)
    ctx.deposit_event("Balances", "Deposit", {"who": who, "amount": amount})
