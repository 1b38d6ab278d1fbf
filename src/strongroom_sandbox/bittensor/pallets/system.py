"""Remarks, which do nothing but be in the chain, and the timestamp, which only a block's author sets."""

from strongroom_sandbox.bittensor.codec.hashers import blake2_256
from strongroom_sandbox.bittensor.execution.dispatch import Context, call


@call("System", "remark", ref_time=8_000_000)
def remark(_ctx: Context, remark: bytes) -> None:
    """Nothing."""


@call("System", "remark_with_event", ref_time=12_000_000)
def remark_with_event(ctx: Context, remark: bytes) -> None:
    content = {"sender": ctx.signer, "hash": blake2_256(remark)}
    ctx.deposit_event("System", "Remarked", content)


@call("Timestamp", "set", ref_time=160_560_000, proof_size=1493, dispatch_class="Mandatory")
def set_timestamp(ctx: Context, now: int) -> None:
    ctx.ensure_none()
    ctx.put("Timestamp", "Now", value=now)
