"""The signature of an extrinsic that the SDK's chain client puts together: `docs/bittensor-nodes.md`."""

from typing import Annotated, Literal

import msgspec
from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import Body

from strongroom.bittensor.authorization.limits import SUBMIT
from strongroom.bittensor.calls.remote_signing import RemoteSigning, Wanted
from strongroom.bittensor.keystore.names import DEFAULT_HOTKEY, Signer
from strongroom.core.http.route_access import needs
from strongroom.core.security.access import Principal

Hex = Annotated[str, msgspec.Meta(pattern="^(0x)?([0-9a-fA-F]{2})*$")]
U64 = Annotated[int, msgspec.Meta(ge=0)]


class ExtrinsicRequest(msgspec.Struct, kw_only=True):
    wallet_name: str
    hotkey_name: str = DEFAULT_HOTKEY
    signer: Literal["hotkey", "coldkey"] = "hotkey"
    call: Hex
    """SCALE bytes, as the chain's metadata has it."""
    era: Hex
    nonce: U64
    tip: U64 = 0
    allow_all_zero_weights: bool = False
    """As in `/wallet/set_weights`."""


class ExtrinsicSignature(msgspec.Struct, kw_only=True):
    signature: str
    """64 bytes of sr25519 in hex, without 0x."""


class ExtrinsicsController(Controller):
    path = "/wallet/extrinsics"
    tags = ("Calls",)

    @post("/sign", status_code=200, summary="Sign an extrinsic that the SDK submits", opt=needs(SUBMIT))
    async def sign(
        self,
        data: Annotated[ExtrinsicRequest, Body()],
        remote_signing: NamedDependency[RemoteSigning],
        principal: NamedDependency[Principal],
    ) -> ExtrinsicSignature:
        """Reads the call, holds it against the token's limits, and signs the payload that it builds for its own chain."""
        wanted = Wanted(
            signer=Signer(wallet=data.wallet_name, hotkey=data.hotkey_name, coldkey=data.signer == "coldkey"),
            call=_bytes(data.call),
            era=_bytes(data.era),
            nonce=data.nonce,
            tip=data.tip,
            may_be_zero=data.allow_all_zero_weights,
        )
        return ExtrinsicSignature(signature=(await remote_signing.sign(principal, wanted)).hex())


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
