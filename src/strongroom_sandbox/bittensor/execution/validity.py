"""Whether an extrinsic may stand in the next block: the chain's own checks, in its order, then the pallet's."""

from strongroom_sandbox.bittensor.execution import accounts
from strongroom_sandbox.bittensor.execution.dispatch import VALIDATIONS, Context, Origin
from strongroom_sandbox.bittensor.execution.extrinsics import Extrinsic
from strongroom_sandbox.bittensor.execution.failures import PoolRefusal
from strongroom_sandbox.bittensor.execution.fees import inclusion_fee

MAX_PRIORITY = (1 << 64) - 1


def validate(ctx: Context, extrinsic: Extrinsic, genesis: bytes) -> int:
    """Checks against a state whose number is that of the block to come; returns the priority.

    A nonce that is ahead passes here: the pool keeps such an extrinsic, and a block waits for those before it.

    Raises:
        PoolRefusal: why it may not.
    """
    check_signature(ctx, extrinsic, genesis)
    if extrinsic.nonce < accounts.nonce(ctx, extrinsic.signer):
        raise PoolRefusal("stale")
    fee = inclusion_fee(ctx.weight_of(extrinsic.call), len(extrinsic.raw)) + extrinsic.tip
    if fee and accounts.free(ctx, extrinsic.signer) - fee < accounts.EXISTENTIAL_DEPOSIT:
        raise PoolRefusal("payment")
    check = VALIDATIONS.get((extrinsic.call.pallet, extrinsic.call.function))
    ctx.origin = Origin(account=extrinsic.signer)
    priority = None if check is None else check(ctx, **extrinsic.call.args)
    return MAX_PRIORITY if priority is None else priority


def check_signature(ctx: Context, extrinsic: Extrinsic, genesis: bytes) -> None:
    """Genesis, versions and birth block are in what was signed: any of them wrong looks like a bad signature."""
    if extrinsic.metadata_hash_mode:
        raise PoolRefusal("cannotLookup")
    birth = genesis
    if extrinsic.era.period:
        number = extrinsic.era.birth(ctx.block_number)
        if not ctx.contains("System", "BlockHash", number):
            raise PoolRefusal("ancientBirthBlock")
        birth = ctx.get("System", "BlockHash", number)
    if not extrinsic.is_signed_for(ctx.runtime, genesis, birth):
        raise PoolRefusal("badProof")
