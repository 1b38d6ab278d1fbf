"""Whether CALLBACK_URL was told of a block, from what every process stores of it."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, select

from strongroom.atto import tables
from strongroom.atto.history.callbacks import DESTINATION
from strongroom.atto.transactions.blocks import transaction_of
from strongroom.core.intents.intent import Intent, Outcome
from strongroom.core.ledger.telling import Telling
from strongroom.core.storage import tables as core_tables

RECEIVER: Final = "CALLBACK_URL"


def callback_of(connection: Connection, intent: Intent, *, has_url: bool) -> Sequence[Telling]:
    """Nothing of a block that is not confirmed, and where there was nobody to tell."""
    if intent.outcome is not Outcome.ACCEPTED:
        return ()
    if intent.told_at_ms is not None:
        return (Telling(to=RECEIVER, told_at_ms=intent.told_at_ms, attempts=intent.told_attempts or 1),)
    if not has_url:
        return ()
    height, outbox = transaction_of(intent).block.height, core_tables.outbox.c
    in_stream = (outbox.destination == DESTINATION, outbox.stream == intent.account)
    query = select(outbox.sequence, outbox.attempts, outbox.trouble).where(*in_stream)
    waiting = connection.execute(query.where(outbox.sequence == height)).first()
    if waiting is not None:
        first = connection.execute(query.order_by(outbox.sequence).limit(1)).first() or waiting
        trouble = waiting.trouble
        if first.sequence < height:
            trouble = "an earlier entry of the account goes first" + (
                f": {first.trouble}" if first.trouble else ""
            )
        return (Telling(to=RECEIVER, waits=True, attempts=waiting.attempts or 0, trouble=trouble),)
    progress = tables.notification_state.c
    told = select(progress.height).where(progress.address == intent.account)
    is_told = (connection.execute(told).scalar() or 0) >= height
    # Told by an earlier version, or passed over while there was no URL.
    return (Telling(to=RECEIVER),) if is_told else (Telling(to=RECEIVER, waits=True),)
