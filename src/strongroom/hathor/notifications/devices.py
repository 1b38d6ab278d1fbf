"""Registers phones and what they want to hear: the rows of `push_devices`."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update

from strongroom.core.storage.database import upsert
from strongroom.hathor import tables
from strongroom.hathor.wallets.access import WalletReader
from strongroom.hathor.wallets.jwt import Principal
from strongroom.hathor.wallets.registry import lock_wallet

COLUMNS = tables.push_devices.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    id: str
    """FCM's registration token."""
    wallet_id: str
    provider: str
    """`ios` or `android`."""
    enable_push: bool
    show_amounts: bool


class Devices:
    """A wallet's devices, for the caller that a token names."""

    def __init__(self, reader: WalletReader) -> None:
        self._reader = reader

    async def register(self, principal: Principal, device: Device) -> None:
        """Registers a device with the caller's wallet. Raises: as `WalletReader.checked`."""

        def work(connection: Connection) -> None:
            # The wallet cannot be deleted between the check and the insert, which would leave the device behind.
            lock_wallet(connection, principal.wallet_id)
            self._reader.checked(connection, principal)
            register_device(connection, device)

        await self._reader.database.write(work)

    async def update(
        self, principal: Principal, device_id: str, *, enable_push: bool, show_amounts: bool
    ) -> bool:
        """Changes what a device wants to hear; False: the wallet has no such device. Raises: TokenOutdated."""

        def work(connection: Connection) -> bool:
            return self._reader.known(connection, principal) is not None and update_device(
                connection,
                device_id,
                principal.wallet_id,
                enable_push=enable_push,
                show_amounts=show_amounts,
            )

        return await self._reader.database.write(work)

    async def remove(self, principal: Principal, device_id: str) -> None:
        """Removes a device of the caller's wallet, if it has it. Raises: TokenOutdated."""

        def work(connection: Connection) -> None:
            if self._reader.known(connection, principal) is not None:
                remove_device(connection, device_id, principal.wallet_id)

        await self._reader.database.write(work)


def register_device(connection: Connection, device: Device) -> None:
    """Registers a device. A device belongs to one wallet: the last one that named it."""
    row = {
        "device_id": device.id,
        "wallet_id": device.wallet_id,
        "push_provider": device.provider,
        "enable_push": device.enable_push,
        "enable_show_amounts": device.show_amounts,
    }
    upsert(connection, tables.push_devices, [row], [name for name in row if name != "device_id"])


def update_device(
    connection: Connection,
    device_id: str,
    wallet_id: str,
    *,
    enable_push: bool,
    show_amounts: bool,
) -> bool:
    """Changes what a device wants to hear; False: the wallet has no such device."""
    if find_device(connection, device_id, wallet_id) is None:
        return False
    values = {"enable_push": enable_push, "enable_show_amounts": show_amounts}
    connection.execute(update(tables.push_devices).where(COLUMNS.device_id == device_id).values(values))
    return True


def find_device(connection: Connection, device_id: str, wallet_id: str) -> Device | None:
    query = select(tables.push_devices).where(COLUMNS.device_id == device_id, COLUMNS.wallet_id == wallet_id)
    row = connection.execute(query).first()
    if row is None:
        return None
    return Device(
        id=row.device_id,
        wallet_id=row.wallet_id,
        provider=row.push_provider,
        enable_push=row.enable_push,
        show_amounts=row.enable_show_amounts,
    )


def remove_device(connection: Connection, device_id: str, wallet_id: str | None = None) -> None:
    """Removes a device; with `wallet_id`, only from that wallet."""
    statement = delete(tables.push_devices).where(COLUMNS.device_id == device_id)
    if wallet_id is not None:
        statement = statement.where(COLUMNS.wallet_id == wallet_id)
    connection.execute(statement)
