"""What webhooks tell of wallets' transactions: the messages that the wallets' WebSockets get, and payments that are voided."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from strongroom.core.announcements import Announcement, Announcer
from strongroom.core.intents.announcing import PaymentEvents
from strongroom.core.intents.execution import Execution, ExecutionState
from strongroom.core.json_decoder import decode_json
from strongroom.core.messaging.outbox import Event as Message

LOST: Final = Execution(
    state=ExecutionState.FAILED, reason="the network lost it before a block had it; it may come back"
)
Hearer = Callable[[Connection, Sequence[Message]], None]
TRANSACTION: Final = "wallet.transaction"
VOIDED: Final = "payment.voided"
EVENTS: Final = {
    TRANSACTION: "a transaction of a wallet came, was confirmed, voided or changed otherwise",
    VOIDED: "the network voided or lost what a node had taken; it may come back",
}


def in_turn(*hearers: Hearer) -> Hearer:
    def hear(connection: Connection, messages: Sequence[Message]) -> None:
        for hearer in hearers:
            hearer(connection, messages)

    return hear


def wallet_events(announcer: Announcer) -> Hearer:
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


def lost_payment(events: PaymentEvents) -> Callable[[Connection, bytes], None]:
    """Tells of a payment that a node had taken and that the network has no more."""

    def tell(connection: Connection, payment_id: bytes) -> None:
        if events.wants(connection, VOIDED):
            events.changed(connection, VOIDED, payment_id, LOST, key=":lost")

    return tell


def voided_payments(events: PaymentEvents, execution: Execution) -> Hearer:
    """Hears the same messages: of payments of this service that were confirmed and are voided now."""

    def hear(connection: Connection, messages: Sequence[Message]) -> None:
        if not events.wants(connection, VOIDED):
            return
        voided: dict[str, int] = {}
        for message in messages:
            body: dict[str, Any] = decode_json(message.payload)
            if body["type"] == "update-tx" and body["data"]["voided"]:
                voided[body["data"]["tx_id"]] = message.sequence
        for tx_id, sequence in voided.items():
            events.changed(connection, VOIDED, bytes.fromhex(tx_id), execution, key=f":{sequence}")

    return hear
