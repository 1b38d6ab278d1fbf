"""The document of an entry, which is the same in answers, pages and callbacks."""

import msgspec

from strongroom.atto.protocol import AccountEntry, Address


class EntryView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A confirmed block of an account, with the balance before and after it. Amounts are in raw, times in milliseconds."""

    hash: str
    address: str
    height: int
    block_type: str
    subject_address: str
    previous_balance: int
    balance: int
    timestamp: int


def entry_view(entry: AccountEntry) -> EntryView:
    return EntryView(
        hash=entry.hash.hex().upper(),
        address=Address(public_key=entry.public_key).path,
        height=entry.height,
        block_type=entry.block_type.name,
        subject_address=Address(public_key=entry.subject_public_key).path,
        previous_balance=entry.previous_balance,
        balance=entry.balance,
        timestamp=entry.timestamp_ms,
    )
