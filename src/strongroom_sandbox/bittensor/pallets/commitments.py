"""What a neuron publishes about itself on a subnet."""

from typing import Any, Final

from strongroom_sandbox.bittensor.execution.dispatch import Context, call
from strongroom_sandbox.bittensor.pallets.shared import neurons
from strongroom_sandbox.bittensor.pallets.shared.view import Pallet, View

_LEAST_SPACE: Final = 100
_RAW: Final = "Raw"


@call(
    "Commitments",
    "set_commitment",
    ref_time=559_140_000,
    pays_fee=False,
    dispatch_class="Operational",
)
def set_commitment(ctx: Context, netuid: int, info: dict[str, Any]) -> None:
    pallet = Pallet(ctx, "Commitments")
    if neurons.uid_of(View(ctx), netuid, ctx.signer) is None:
        raise pallet.error("AccountNotAllowedCommit")
    if len(info["fields"]) > ctx.constant("Commitments", "MaxFields"):
        raise pallet.error("TooManyFieldsInCommitmentInfo")
    _use_space(pallet, netuid, info["fields"])
    stored = {"deposit": 0, "block": pallet.block, "info": info}
    pallet.put("CommitmentOf", netuid, ctx.signer, value=stored)
    pallet.put("LastCommitment", netuid, ctx.signer, value=pallet.block)
    ctx.deposit_event("Commitments", "Commitment", {"netuid": netuid, "who": ctx.signer})


def _use_space(pallet: Pallet, netuid: int, fields: list[Any]) -> None:
    """A neuron may publish so many bytes in an epoch; little things count as a hundred."""
    used = pallet.get("UsedSpaceOf", netuid, pallet.signer) or {"last_epoch": 0, "used_space": 0}
    epoch = _epoch(pallet, netuid)
    before = used["used_space"] if used["last_epoch"] == epoch else 0
    needed = max(_LEAST_SPACE, sum(_size(field) for field in fields))
    if before + needed > pallet.get("MaxSpace"):
        raise pallet.error("SpaceLimitExceeded")
    value = {"last_epoch": epoch, "used_space": before + needed}
    pallet.put("UsedSpaceOf", netuid, pallet.signer, value=value)


def _epoch(pallet: Pallet, netuid: int) -> int:
    tempo = View(pallet.ctx).get("Tempo", netuid)
    return int((pallet.block + netuid + 1) // (tempo + 1))


def _size(field: Any) -> int:
    name, content = field if isinstance(field, tuple) else (field, b"")
    if name.startswith(_RAW) or isinstance(content, bytes):
        return len(content)
    return len(content.get("encrypted", b"")) if isinstance(content, dict) else 0
