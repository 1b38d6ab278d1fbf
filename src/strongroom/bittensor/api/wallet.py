"""The original's routes about keys: sign, verify, info; and the export of a key."""

from typing import Annotated

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import Body, FromQuery

from strongroom.bittensor.authorization.limits import EXPORT, READ, SIGN
from strongroom.bittensor.calls.exports import Exports
from strongroom.bittensor.calls.messages import Messages
from strongroom.bittensor.keystore.names import DEFAULT_HOTKEY, Signer
from strongroom.core.http.route_access import needs
from strongroom.core.security.access import Principal

COLDKEY = "coldkey"


class SignRequest(msgspec.Struct, kw_only=True):
    wallet_name: str
    hotkey_name: str = DEFAULT_HOTKEY
    message: str
    message_type: str = "general"
    """`coldkey`: the coldkey signs. Anything else: the hotkey."""


class SignResponse(msgspec.Struct, kw_only=True):
    signature: str
    """Hex without 0x."""
    message: str
    ss58_address: str
    """Of the key that signed."""


class VerifyRequest(msgspec.Struct, kw_only=True):
    wallet_name: str
    hotkey_name: str = DEFAULT_HOTKEY
    message: str
    message_type: str = "general"
    signature: str


class VerifyResponse(msgspec.Struct, kw_only=True):
    is_valid: bool
    ss58_address: str


class ColdkeyProxy(msgspec.Struct, kw_only=True):
    address: str
    type: str
    """As the chain names it."""


class InfoResponse(msgspec.Struct, kw_only=True, omit_defaults=True):
    wallet_name: str
    hotkey_name: str
    hotkey_address: str
    coldkey_address: str | None
    is_unlocked: bool
    coldkey_proxy: ColdkeyProxy | None = None
    """The key that signs the coldkey's calls in its place; not there if the coldkey does."""


class ExportRequest(msgspec.Struct, kw_only=True):
    wallet_name: str
    hotkey_name: str = DEFAULT_HOTKEY
    key: str = "hotkey"
    """`coldkey`: the coldkey. Anything else: the hotkey."""


class ExportResponse(msgspec.Struct, kw_only=True):
    """As a key file has them."""

    ss58_address: str
    public_key: str
    private_key: str
    """64 bytes as hex with 0x."""


class WalletController(Controller):
    path = "/wallet"
    tags = ("Wallet",)

    @post("/sign", status_code=200, summary="Sign a message", opt=needs(SIGN))
    async def sign(
        self,
        data: Annotated[SignRequest, Body()],
        messages: NamedDependency[Messages],
        principal: NamedDependency[Principal],
    ) -> SignResponse:
        """Signs a message of a known form with the hotkey, or with the coldkey when the token allows it."""
        signer = Signer(
            wallet=data.wallet_name, hotkey=data.hotkey_name, coldkey=data.message_type == COLDKEY
        )
        signed = await messages.sign(principal, signer, data.message)
        return SignResponse(
            signature=signed.signature.hex(), message=data.message, ss58_address=signed.address
        )

    @post("/verify", status_code=200, summary="Verify a signature", opt=needs(READ))
    async def verify(
        self,
        data: Annotated[VerifyRequest, Body()],
        messages: NamedDependency[Messages],
        principal: NamedDependency[Principal],
    ) -> VerifyResponse:
        """Whether the hotkey, or the coldkey, made the signature. Needs no private key."""
        signer = Signer(
            wallet=data.wallet_name, hotkey=data.hotkey_name, coldkey=data.message_type == COLDKEY
        )
        verification = await messages.verify(principal, signer, data.message, data.signature)
        return VerifyResponse(is_valid=verification.is_valid, ss58_address=verification.address)

    @get(["/info", "/wallet_info"], summary="Addresses of a wallet", opt=needs(READ))
    async def info(
        self,
        wallet_name: FromQuery[str],
        messages: NamedDependency[Messages],
        principal: NamedDependency[Principal],
        hotkey_name: FromQuery[str] = DEFAULT_HOTKEY,
    ) -> InfoResponse:
        """The addresses of a hotkey and its coldkey, and whether the hotkey can sign now."""
        found = await messages.info(principal, wallet_name, hotkey_name)
        caller = None
        if found.coldkey_proxy is not None and found.delegation is not None:
            caller = ColdkeyProxy(address=found.coldkey_proxy, type=found.delegation.proxy_type)
        return InfoResponse(
            wallet_name=found.wallet,
            hotkey_name=found.hotkey,
            hotkey_address=found.hotkey_address,
            coldkey_address=found.coldkey_address,
            is_unlocked=found.is_unlocked,
            coldkey_proxy=caller,
        )

    @post("/export", status_code=200, summary="Export a key", opt=needs(EXPORT))
    async def export(
        self,
        data: Annotated[ExportRequest, Body()],
        exports: NamedDependency[Exports],
        principal: NamedDependency[Principal],
    ) -> Response[ExportResponse]:
        """The private key of a key in the vault, once for each approval of somebody else. Whoever sees it can use the key."""
        signer = Signer(wallet=data.wallet_name, hotkey=data.hotkey_name, coldkey=data.key == COLDKEY)
        keypair = await exports.export(principal, signer)
        answer = ExportResponse(
            ss58_address=keypair.address,
            public_key=f"0x{keypair.public_key.hex()}",
            private_key=f"0x{keypair.secret().hex()}",
        )
        return Response(answer, headers={"Cache-Control": "no-store"})
