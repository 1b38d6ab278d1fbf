"""What coldkeys and subnets say of themselves."""

from typing import Final

from strongroom_sandbox.bittensor.execution.dispatch import Context, call
from strongroom_sandbox.bittensor.pallets.shared import neurons
from strongroom_sandbox.bittensor.pallets.shared.cost import db
from strongroom_sandbox.bittensor.pallets.shared.view import SUBTENSOR, Pallet

_LONG: Final = 1024
_SHORT: Final = 256
_LONG_FIELDS: Final = {
    "image",
    "description",
    "additional",
    "github_repo",
    "subnet_url",
    "logo_url",
    "subnet_contact",
}
_LONG_OF_COLDKEYS: Final = {"image", "description", "additional"}


@call(SUBTENSOR, "set_identity", ref_time=db(31_780_000, reads=3, writes=1))
def set_identity(ctx: Context, **identity: bytes) -> None:
    pallet = Pallet(ctx)
    owned = pallet.get("OwnedHotkeys", ctx.signer)
    if not any(neurons.is_member_anywhere(pallet, hotkey) for hotkey in owned):
        raise pallet.error("HotKeyNotRegisteredInNetwork")
    _check(pallet, identity, _LONG_OF_COLDKEYS)
    pallet.put("IdentitiesV2", ctx.signer, value=identity)
    pallet.event("ChainIdentitySet", ctx.signer)


@call(SUBTENSOR, "set_subnet_identity", ref_time=db(23_080_000, reads=1, writes=1))
def set_subnet_identity(ctx: Context, netuid: int, **identity: bytes) -> None:
    pallet = Pallet(ctx)
    if pallet.get("SubnetOwner", netuid) != ctx.signer:
        raise pallet.error("NotSubnetOwner")
    _check(pallet, identity, _LONG_FIELDS)
    pallet.put("SubnetIdentitiesV3", netuid, value=identity)
    pallet.event("SubnetIdentitySet", netuid)


def _check(pallet: Pallet, identity: dict[str, bytes], long: set[str]) -> None:
    if any(len(text) > (_LONG if name in long else _SHORT) for name, text in identity.items()):
        raise pallet.error("InvalidIdentity")
