"""Sets an account back to the state of the node's chain, in one transaction and with an audit row."""

from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import Connection, delete, select, update

from strongroom.atto import tables
from strongroom.atto.history.callbacks import DESTINATION
from strongroom.atto.protocol import Network
from strongroom.atto.records import AccountRecord, load_account, state_values
from strongroom.atto.transactions.blocks import RejectionCause
from strongroom.atto.transactions.reconciliation import Divergence
from strongroom.core.errors import Conflict
from strongroom.core.intents.intent import Rejected
from strongroom.core.intents.store import load_by_slot, reject_all
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.storage import tables as core_tables

REASON = "Abandoned by the operator: the network's chain does not have it"
UNOPENED: dict[str, Any] = {
    "version": 0,
    "height": 0,
    "balance": 0,
    "frontier": None,
    "timestamp_ms": 0,
    "representative": None,
}


def abandon(
    connection: Connection,
    divergence: Divergence,
    principal: Principal,
    audit: Audit,
    network: Network,
    now_ms: int,
    told: Callable[[Connection, Collection[bytes]], None] = lambda _connection, _hashes: None,
) -> list[bytes]:
    """Rejects every block of the account above the common height; returns their hashes.

    The history is cut at the common height. The follower then stores the node's entries above it and announces them to
    clients. The rejected blocks keep their rows and free their slots; `told` hears of them.

    Raises:
        Conflict: the account has changed since it was judged.
    """
    judged = divergence.account
    account = load_account(connection, judged.address, network, lock=True)
    if (account.open_block, account.state) != (judged.open_block, judged.state):
        raise Conflict("The account has just changed: compare again")
    path, common = account.address.path, divergence.common_height
    verdict_on_all = Rejected(reason=REASON, stage=RejectionCause.ABANDONED)
    hashes = reject_all(connection, _blocks_above(connection, account, common), verdict_on_all, now_ms)
    told(connection, hashes)
    _cut_history(connection, path, common)
    values = (UNOPENED if divergence.node is None else state_values(divergence.node)) | {
        "pending": None,
        "entry_height": min(common, account.entry_height),
        "work_target": None,
        "work": None,
    }
    connection.execute(update(tables.chain).where(tables.chain.c.address == path).values(values))
    details = {
        "abandoned": [one.hex().upper() for one in hashes],
        "commonHeight": common,
        "heightBefore": account.height,
        "heightNow": divergence.node.height if divergence.node else 0,
    }
    audit.append(connection, principal, "atto.abandon", path, details)
    return hashes


def _blocks_above(connection: Connection, account: AccountRecord, common: int) -> set[bytes]:
    """Hashes of all our blocks above the common height.

    They come from three places: the stored history, the account's last and open block, and the chain of intents that starts
    at the common block. No single place has them all: the history may lag, and adopted blocks have no intent.
    """
    entries = tables.entry.c
    lines = select(entries.height, entries.hash).where(
        entries.address == account.address.path, entries.height >= common
    )
    hashes = {row.height: bytes(row.hash) for row in connection.execute(lines)}
    slot = account.address.public_key if common == 0 else hashes.pop(common, None)
    found = set(hashes.values())
    if account.state is not None and account.height > common:
        found.add(account.state.frontier)
    if account.open_block is not None:
        found.add(account.open_block)
    while slot is not None and (intent := load_by_slot(connection, slot)) is not None:
        slot = intent.id
        found.add(slot)
    return found


def _cut_history(connection: Connection, path: str, common: int) -> None:
    """Removes entries, undelivered events and the notified height above `common`, so that new ones can take their place."""
    entries, outbox, told = tables.entry.c, core_tables.outbox.c, tables.notification_state.c
    connection.execute(delete(tables.entry).where(entries.address == path, entries.height > common))
    connection.execute(
        delete(core_tables.outbox).where(
            outbox.destination == DESTINATION, outbox.stream == path, outbox.sequence > common
        )
    )
    connection.execute(
        update(tables.notification_state)
        .where(told.address == path, told.height > common)
        .values(height=common)
    )
