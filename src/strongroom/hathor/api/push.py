"""Devices for push notifications: register, update, unregister. All three want a full token."""

from typing import Any

from litestar import Response
from sqlalchemy import Connection

from strongroom.hathor.api.reading import Reader
from strongroom.hathor.api.refusal import Refusal
from strongroom.hathor.api.requests import Request, answer, bearer, read_body
from strongroom.hathor.api.validation import Key, Schema, flag, text
from strongroom.hathor.notifications.devices import Device, register_device, remove_device, update_device
from strongroom.hathor.wallets.jwt import Principal, Tokens
from strongroom.hathor.wallets.registry import lock_wallet

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
    def __init__(self, reader: Reader, tokens: Tokens) -> None:
        self._reader = reader
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

        def work(connection: Connection) -> None:
            lock_wallet(connection, principal.wallet_id)
            self._reader.checked(connection, principal)
            register_device(connection, device)

        await self._reader.database.write(work)
        return answer()

    async def update(self, request: Request) -> Response[bytes]:
        principal, body = await self._asked(request, UPDATE)

        def work(connection: Connection) -> bool:
            return self._reader.known(connection, principal) is not None and update_device(
                connection,
                body["deviceId"],
                principal.wallet_id,
                enable_push=body["enablePush"],
                show_amounts=body["enableShowAmounts"],
            )

        if not await self._reader.database.write(work):
            raise Refusal(404, "device-not-found")
        return answer()

    async def unregister(self, request: Request) -> Response[bytes]:
        principal = bearer(request, self._tokens, full=True)
        device_id = UNREGISTER.check(request.path_params, convert=True)["deviceId"]

        def work(connection: Connection) -> None:
            if self._reader.known(connection, principal) is not None:
                remove_device(connection, device_id, principal.wallet_id)

        await self._reader.database.write(work)
        return answer()

    async def _asked(self, request: Request, schema: Schema) -> tuple[Principal, dict[str, Any]]:
        principal = bearer(request, self._tokens, full=True)
        return principal, schema.check(await read_body(request), convert=True)
