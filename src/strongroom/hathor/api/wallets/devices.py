"""Devices for push notifications: register, update, unregister. All three want a full token."""

from litestar import Controller, delete, post, put
from litestar.di import NamedDependency

from strongroom.hathor.api.answers import Done
from strongroom.hathor.api.refusal import Refusal, refused
from strongroom.hathor.api.requests import Request, read_body
from strongroom.hathor.api.terms import Access, Terms
from strongroom.hathor.api.validation import Key, Schema, flag, text
from strongroom.hathor.api.wallets.wallet import UNKNOWN
from strongroom.hathor.notifications.devices import Device, Devices

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


class DeviceController(Controller):
    path = "/wallet/push"
    tags = ("Push notifications",)

    @post(
        "/register",
        status_code=200,
        summary="Register a device; it takes the place of an earlier registration",
        opt=Terms(access=Access.FULL, body=REGISTER).opt,
        responses=UNKNOWN,
    )
    async def register(self, request: Request, devices: NamedDependency[Devices]) -> Done:
        owner = request.caller
        body = REGISTER.check(await read_body(request), convert=True)
        device = Device(
            id=body["deviceId"],
            wallet_id=owner.wallet_id,
            provider=body["pushProvider"],
            enable_push=body["enablePush"],
            show_amounts=body["enableShowAmounts"],
        )
        await devices.register(owner.principal, device)
        return Done()

    @put(
        "/update",
        summary="Change which notifications a device gets",
        opt=Terms(access=Access.FULL, body=UPDATE).opt,
        responses={404: refused("`device-not-found`")},
    )
    async def update(self, request: Request, devices: NamedDependency[Devices]) -> Done:
        owner = request.caller
        body = UPDATE.check(await read_body(request), convert=True)
        push, amounts = body["enablePush"], body["enableShowAmounts"]
        if not await devices.update(
            owner.principal, body["deviceId"], enable_push=push, show_amounts=amounts
        ):
            raise Refusal(404, "device-not-found")
        return Done()

    @delete(
        "/unregister/{deviceId:str}",
        status_code=200,
        summary="Remove a device, whether it is registered or not",
        opt=Terms(access=Access.FULL, path=UNREGISTER).opt,
    )
    async def unregister(self, request: Request, devices: NamedDependency[Devices]) -> Done:
        owner = request.caller
        device_id = UNREGISTER.check(request.path_params, convert=True)["deviceId"]
        await devices.remove(owner.principal, device_id)
        return Done()
