"""What webhooks tell of entries."""

from typing import Final

from strongroom.atto.protocol import AccountEntry, Address
from strongroom.core.announcements import Announcement
from strongroom.core.clock import iso_instant

ENTRY: Final = "account.entry"
EVENTS: Final = {ENTRY: "an account has a new entry: a confirmed block of it, also one that receives"}


def entry_event(wallet_name: str, entry: AccountEntry) -> Announcement:
    """Amounts are text, because many programs read large numbers of JSON wrong."""
    address = Address(public_key=entry.public_key).path
    data = {
        "hash": entry.hash.hex().upper(),
        "wallet": wallet_name,
        "address": address,
        "height": entry.height,
        "blockType": entry.block_type.name,
        "subjectAddress": Address(public_key=entry.subject_public_key).path,
        "previousBalance": str(entry.previous_balance),
        "balance": str(entry.balance),
        "timestamp": iso_instant(entry.timestamp_ms),
    }
    key = entry.hash.hex()
    return Announcement(kind=ENTRY, stream=address, wallet=wallet_name, data=data, key=key)
