"""Transfers of TAO."""

from typing import Any

from strongroom_sandbox.bittensor.execution import accounts
from strongroom_sandbox.bittensor.execution.dispatch import Context, call
from strongroom_sandbox.bittensor.execution.failures import DispatchError
from strongroom_sandbox.bittensor.pallets.shared import coldkeys


@call("Balances", "transfer_keep_alive", ref_time=165_655_000, proof_size=3593)
def transfer_keep_alive(ctx: Context, dest: Any, value: int) -> None:
    coldkeys.transfer(ctx, ctx.signer, looked_up(dest), value, keep_alive=True)


@call("Balances", "transfer_allow_death", ref_time=176_105_000, proof_size=3593)
def transfer_allow_death(ctx: Context, dest: Any, value: int) -> None:
    coldkeys.transfer(ctx, ctx.signer, looked_up(dest), value)


@call("Balances", "transfer_all", ref_time=176_105_000, proof_size=3593)
def transfer_all(ctx: Context, dest: Any, keep_alive: bool) -> None:
    kept = accounts.EXISTENTIAL_DEPOSIT if keep_alive else 0
    value = max(0, accounts.free(ctx, ctx.signer) - kept)
    coldkeys.transfer(ctx, ctx.signer, looked_up(dest), value, keep_alive=keep_alive)


def looked_up(address: Any) -> bytes:
    """The account that a MultiAddress names.

    Raises:
        DispatchError: CannotLookup, it is another kind of address.
    """
    match address:
        case ("Id", bytes(account)):
            return account
        case _:
            raise DispatchError("CannotLookup")
