"""Checks which node the ledger follows: the ids of events count in one node's event database only.

After a node lost its data, or behind another address, the same id names another event. The sync would then skip events,
or apply others on top of them, and no later check would notice. So every connection is compared with the first one.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from strongroom.core.storage.statements import Statement, select_value
from strongroom.hathor import tables
from strongroom.hathor.protocol.events import Frame

REMEMBERED = Statement(select(tables.source.c.stream_id).where(tables.source.c.id == 0))


class WrongSourceError(Exception):
    """The node is not the one that this database follows. Nothing is applied; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """What the operator expects of the node; None: the operator has no wish."""

    network: str
    peer_id: str | None = None
    stream_id: str | None = None


def check_source(connection: Connection, frame: Frame, pins: Pins) -> None:
    """As `compare_source`; it stores the first source.

    Raises:
        WrongSourceError: the frame comes from elsewhere.
    """
    compare_source(connection, frame, pins)
    if _remembered(connection) is None:
        row = {"id": 0, "network": frame.network, "stream_id": frame.stream_id}
        connection.execute(tables.source.insert(), row)


def compare_network(network: str | None, pins: Pins) -> None:
    """Compares the node's name of its network with the operator's. Raises: WrongSourceError."""
    if network != pins.network:
        raise WrongSourceError(
            f"The node is of network {network!r}, expected {pins.network!r}: point DEFAULT_SERVER and WS_URL"
            " at a node of the right network, or set FULLNODE_NETWORK to the node's name for it"
        )


def compare_end(latest_event_id: int, last_id: int) -> None:
    """Checks that the node has what was applied here. Raises: WrongSourceError: its queue ends before."""
    if latest_event_id < last_id:
        raise WrongSourceError(
            f"The node's events end at {latest_event_id}, but {last_id} was applied: its data was reset"
            " or restored from a backup. Point the service at the right node, or sync into an empty database"
        )


def compare_source(connection: Connection, frame: Frame, pins: Pins) -> None:
    """Compares a frame with the pins and with the stored source. It reads only.

    Raises:
        WrongSourceError: the frame comes from elsewhere.
    """
    compare_network(frame.network, pins)
    if pins.peer_id is not None and frame.peer_id != pins.peer_id:
        raise WrongSourceError(
            f"The node is peer {frame.peer_id!r}, expected {pins.peer_id!r}: set FULLNODE_PEER_ID to the new id,"
            " or leave it unset (a node without a peer file gets a new id at each start)"
        )
    # The operator's word stands above the stored one.
    expected = pins.stream_id or _remembered(connection)
    if expected is not None and frame.stream_id != expected:
        raise WrongSourceError(
            f"The node's event stream is {frame.stream_id!r}, but this database follows {expected!r}: its event ids"
            " do not continue ours. Point the service back at that node, or sync into an empty database"
            " (and change FULLNODE_STREAM_ID if it is set)"
        )


def _remembered(connection: Connection) -> str | None:
    return select_value(connection, REMEMBERED)
