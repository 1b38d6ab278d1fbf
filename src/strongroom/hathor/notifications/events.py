"""What webhooks tell of wallets' transactions: the messages that the wallets' WebSockets get."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection

from strongroom.core.announcements import Announcement, Announcer
from strongroom.core.messaging.outbox import Event as Message

TRANSACTION: Final = "wallet.transaction"
EVENTS: Final = {TRANSACTION: "a transaction of a wallet came, was confirmed, voided or changed otherwise"}


def wallet_events(announcer: Announcer) -> Callable[[Connection, Sequence[Message]], None]:
    """Hears the messages for wallets in the sync's own transaction."""

    def hear(connection: Connection, messages: Sequence[Message]) -> None:
        if not announcer.wants(connection, TRANSACTION):
            return
        announcer.announce(
            connection,
            [
                Announcement(
                    kind=TRANSACTION,
                    stream=message.stream,
                    wallet=message.stream,
                    data={"wallet": message.stream, "message": msgspec.Raw(message.payload.encode())},
                    key=str(message.sequence),
                )
                for message in messages
            ],
        )

    return hear
