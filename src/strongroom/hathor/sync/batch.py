"""Applies a batch of events in one transaction, together with the id of the last event."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection, select, update

from strongroom.core.errors import Conflict
from strongroom.core.messaging.outbox import Outbox
from strongroom.core.storage.statements import Statement, arg, execute, select_value
from strongroom.hathor import tables
from strongroom.hathor.index.addresses import AddressRow, write_addresses, write_balances, write_histories
from strongroom.hathor.index.batch_state import BatchState
from strongroom.hathor.index.effects import compute_effects
from strongroom.hathor.index.miners import write_miners
from strongroom.hathor.index.records import (
    complete,
    load,
    read_heights,
    write_callers,
    write_outputs,
    write_transactions,
)
from strongroom.hathor.index.timelocks import settle_locks
from strongroom.hathor.index.tokens import write_tokens
from strongroom.hathor.index.wallets import write_wallets
from strongroom.hathor.index.writer_lock import lock_ledger
from strongroom.hathor.notifications.messages import append_messages
from strongroom.hathor.notifications.outbox import append_pushes
from strongroom.hathor.protocol.addresses import Network
from strongroom.hathor.protocol.events import Event
from strongroom.hathor.wallets.loading import extend, note_used
from strongroom.hathor.wallets.registry import ERROR, READY

log = structlog.get_logger(__name__)

GAP_STEP = 100
"""Addresses that one step of `extend` derives."""
_wallet, _metadata = tables.wallet.c, tables.sync_metadata.c
ADVANCE = Statement(
    update(tables.sync_metadata)
    .where(_metadata.id == 0)
    .values(last_event_id=arg("last_event_id"), updated_at=arg("updated_at")),
    "last_event_id",
    "updated_at",
)
STATUS = Statement(select(_wallet.status).where(_wallet.id == arg("wallet_id")), "wallet_id")
FAIL = Statement(
    update(tables.wallet).where(_wallet.id == arg("wallet_id")).values(status=ERROR), "wallet_id"
)


class EventGapError(Exception):
    """Events are missing before this batch; the sync reads again from the last one applied."""

    def __init__(self, last_event_id: int, first_id: int) -> None:
        super().__init__(f"event {first_id} came after {last_event_id}")
        self.last_event_id = last_event_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Settings of the node and of the operator that a batch depends on."""

    network: Network
    reward_spend_min_blocks: int
    push_age_s: int | None = None
    """Devices are notified of transactions up to this age; None: they are not notified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What a batch did, and whose deliveries have to be woken once it is committed."""

    last_event_id: int
    events: int
    """Number of new events."""
    wallets: frozenset[str]
    devices: frozenset[str]
    """Streams of the outbox with notifications of devices."""


def apply_batch(
    connection: Connection, events: Sequence[Event], rules: Rules, outbox: Outbox, now_s: int
) -> Applied:
    """Applies events in the order of their ids. It passes over events that were applied before.

    An empty batch opens the locks whose time has come.

    Raises:
        EventGapError: an id is missing.
        ValueError: an event contradicts itself; nothing of the batch is kept.
    """
    # From here to the commit nobody else writes derived rows: what this reads cannot change under it.
    last_event_id = lock_ledger(connection)
    new = [event for event in events if event.id > last_event_id]
    for expected, event in enumerate(new, last_event_id + 1):
        if event.id != expected:
            raise EventGapError(expected - 1, event.id)
    state = BatchState(rules.reward_spend_min_blocks)
    load(connection, state, new)
    for event in new:
        state.apply(event)
    wallets, devices = _write(connection, state, rules, outbox, now_s)
    if new:
        last_event_id = new[-1].id
        execute(connection, ADVANCE, last_event_id, str(now_s * 1000))
    return Applied(last_event_id=last_event_id, events=len(new), wallets=wallets, devices=devices)


def _write(
    connection: Connection, state: BatchState, rules: Rules, outbox: Outbox, now_s: int
) -> tuple[frozenset[str], frozenset[str]]:
    """Writes what the batch changed; returns the wallets and the streams of devices that have to hear of it.

    The order matters. Transactions come first, because the heights of blocks decide about locks. The effects need every
    output of an affected transaction. Balances and tokens are read back from outputs and histories, so they come after.
    """
    best_before = read_heights(connection).best
    write_transactions(connection, state)
    settle_locks(connection, state, read_heights(connection), now_s)
    affected = state.affected()
    complete(connection, state, affected)
    effects = compute_effects(state.outputs.values(), state.transactions, state.callers, affected)
    write_callers(connection, state)
    write_outputs(connection, state)
    write_miners(connection, state, best_before)
    # With the owners of before the gaps move: `extend` adds by itself what a newly claimed address did until now.
    addresses = write_addresses(connection, state, effects)
    write_histories(connection, state, effects)
    write_balances(connection, effects)
    write_tokens(connection, state, effects)
    touched = write_wallets(connection, state, effects, addresses)
    _extend_gaps(connection, rules.network, addresses)
    news = append_messages(connection, outbox, state, touched)
    devices: frozenset[str] = frozenset()
    if rules.push_age_s is not None:
        devices = append_pushes(connection, outbox, news, now_s - rules.push_age_s)
    return frozenset(touched), devices


def _extend_gaps(connection: Connection, network: Network, addresses: Mapping[str, AddressRow]) -> None:
    """Claims further addresses for the wallets whose last addresses were used."""
    used: dict[str, int] = {}
    for row in addresses.values():
        if row.wallet_id is not None and row.index is not None and row.transactions > 0:
            used[row.wallet_id] = max(used.get(row.wallet_id, -1), row.index)
    for wallet_id, index in used.items():
        note_used(connection, wallet_id, index)
        if select_value(connection, STATUS, wallet_id) != READY:
            continue  # the wallet's loading goes on, and finds the new index
        try:
            while not extend(connection, network, wallet_id, GAP_STEP).complete:
                continue
        except Conflict as error:
            # Another wallet has these addresses. This one ends in error; the sync of all others goes on.
            log.error("wallet stopped", wallet=wallet_id, error=error.message)
            execute(connection, FAIL, wallet_id)
