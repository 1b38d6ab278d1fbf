"""Puts notifications into the outbox, one for each device of a wallet that received something.

Each device is a stream of its own, so that a device that cannot be reached holds up no other.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, select, true

from strongroom.core.messaging.outbox import Event as Message
from strongroom.core.messaging.outbox import Outbox
from strongroom.core.storage.statements import (
    Statement,
    listed,
    paired,
    select_in,
    select_pairs,
)
from strongroom.hathor import tables

DESTINATION = "hathor.push"
_device, _entry, _token = tables.push_devices.c, tables.wallet_tx_history.c, tables.token.c
DEVICES = Statement(
    select(_device.wallet_id, _device.device_id).where(
        _device.enable_push == true(), listed(_device.wallet_id)
    )
)
MOVED = Statement(
    select(_entry.wallet_id, _entry.tx_id, _entry.token_id, _entry.balance, _token.symbol)
    .select_from(tables.wallet_tx_history.outerjoin(tables.token, _token.id == _entry.token_id))
    .where(paired(_entry.wallet_id, _entry.tx_id))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTransaction:
    """A new transaction, and the wallets that it concerns."""

    tx_id: str
    event_id: int
    timestamp_s: int
    wallets: Sequence[str]


class Notification(msgspec.Struct, frozen=True):
    """A notification for one device. Its words are chosen when it is sent, by what the owner wishes then."""

    device_id: str
    wallet_id: str
    tx_id: str
    received: list[tuple[str, int]]
    """Symbol and change of the balance of each token, the largest first."""


def append_pushes(
    connection: Connection, outbox: Outbox, news: Iterable[NewTransaction], oldest_s: int
) -> frozenset[str]:
    """Adds notifications of transactions since `oldest_s`; returns the streams of their devices."""
    fresh = [item for item in news if item.timestamp_s >= oldest_s]
    devices: dict[str, list[str]] = {}
    owners = {wallet_id for item in fresh for wallet_id in item.wallets}
    for wallet_id, device_id in select_in(connection, DEVICES, sorted(owners)):
        devices.setdefault(wallet_id, []).append(device_id)
    pairs = [(wallet, item.tx_id) for item in fresh for wallet in item.wallets if wallet in devices]
    received = _received(connection, pairs)
    events = [
        Message(
            stream=stream_of(device_id),
            sequence=item.event_id,
            payload=msgspec.json.encode(
                Notification(device_id, wallet_id, item.tx_id, received[wallet_id, item.tx_id])
            ).decode(),
        )
        for item in fresh
        for wallet_id in item.wallets
        if (wallet_id, item.tx_id) in received
        for device_id in devices[wallet_id]
    ]
    outbox.append(connection, DESTINATION, events)
    return frozenset(event.stream for event in events)


def stream_of(device_id: str) -> str:
    """Returns the stream of a device, whose id may be longer than a stream's name may be."""
    return hashlib.sha256(device_id.encode()).hexdigest()


def _received(
    connection: Connection, pairs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], list[tuple[str, int]]]:
    """Returns the changes by wallet and transaction, where the largest one is a gain: so the original judges it."""
    found: dict[tuple[str, str], list[tuple[str, str, int]]] = {}
    for wallet_id, tx_id, token_id, balance, symbol in select_pairs(connection, MOVED, pairs):
        found.setdefault((wallet_id, tx_id), []).append((token_id, symbol or token_id, int(balance)))
    gains: dict[tuple[str, str], list[tuple[str, int]]] = {}
    for pair, changes in found.items():
        changes.sort(key=lambda change: (-abs(change[2]), change[0]))
        if changes[0][2] > 0:
            gains[pair] = [(symbol, balance) for _, symbol, balance in changes]
    return gains
