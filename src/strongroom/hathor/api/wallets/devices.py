"""Devices for push notifications: register, update, unregister. All three want a full token."""

from typing import Any

from litestar import Response

from strongroom.hathor.api.refusal import Refusal
from strongroom.hathor.api.requests import Request, answer, bearer, read_body
from strongroom.hathor.api.validation import Key, Schema, flag, text
from strongroom.hathor.notifications.devices import Device, Devices
from strongroom.hathor.wallets.jwt import Principal, Tokens

DEVICE = Key(check=text(most=256), required=True)
WISHES = {
    "enablePush": Key(check=flag(), default=False),
    "enableShowAmounts": Key(check=flag(), default=False),
}
REGISTER = Schema(
    keys={
        "pushProvider": Key(check=text(pattern="^(?:ios|android)$"), required=True),
        "deviceId": DEVICE,
        **WISHES,
    }
)
UPDATE = Schema(keys={"deviceId": DEVICE, **WISHES})
UNREGISTER = Schema(keys={"deviceId": DEVICE})


class PushRoutes:
    def __init__(self, devices: Devices, tokens: Tokens) -> None:
        self._devices = devices
        self._tokens = tokens

    async def register(self, request: Request) -> Response[bytes]:
        principal, body = await self._asked(request, REGISTER)
        device = Device(
            id=body["deviceId"],
            wallet_id=principal.wallet_id,
            provider=body["pushProvider"],
            enable_push=body["enablePush"],
            show_amounts=body["enableShowAmounts"],
        )
        await self._devices.register(principal, device)
        return answer()

    async def update(self, request: Request) -> Response[bytes]:
        principal, body = await self._asked(request, UPDATE)
        push, amounts = body["enablePush"], body["enableShowAmounts"]
        if not await self._devices.update(
            principal, body["deviceId"], enable_push=push, show_amounts=amounts
        ):
            raise Refusal(404, "device-not-found")
        return answer()

    async def unregister(self, request: Request) -> Response[bytes]:
        principal = bearer(request, self._tokens, full=True)
        device_id = UNREGISTER.check(request.path_params, convert=True)["deviceId"]
        await self._devices.remove(principal, device_id)
        return answer()

    async def _asked(self, request: Request, schema: Schema) -> tuple[Principal, dict[str, Any]]:
        principal = bearer(request, self._tokens, full=True)
        return principal, schema.check(await read_body(request), convert=True)
