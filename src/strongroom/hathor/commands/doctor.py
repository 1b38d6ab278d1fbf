"""What `strongroom doctor` asks of the Hathor ledger."""

from functools import partial

from sqlalchemy import select

from strongroom.core.errors import Conflict, StrongroomError, Unavailable
from strongroom.core.http.outbound.targets import shown_place
from strongroom.core.ledger.contract import Check
from strongroom.core.ledger.installed import Installed, reading
from strongroom.hathor import tables
from strongroom.hathor.gateway.events import HttpEventNode
from strongroom.hathor.index.writer_lock import NO_EVENT
from strongroom.hathor.settings import HathorSettings
from strongroom.hathor.sync.source import (
    Pins,
    WrongSourceError,
    compare_end,
    compare_network,
    compare_source,
)

STREAM_S = 10.0


def hathor_checks(one: Installed, hathor: HathorSettings) -> dict[str, Check]:
    return {
        "hathor node": partial(_node, hathor),
        "hathor events": partial(_events, one, hathor),
    }


async def _node(hathor: HathorSettings) -> str:
    node = HttpEventNode(hathor.node_url, hathor.ws_url)
    try:
        version, page = await node.version(), await node.page(-1)
        compare_network(version.network, _pins(hathor))
    except WrongSourceError as error:
        raise Conflict(f"{shown_place(hathor.node_url)}: {error}") from error
    except StrongroomError as error:
        raise Unavailable(f"{shown_place(hathor.node_url)}: {error.message}") from error
    finally:
        await node.close()
    blocks = version.reward_spend_min_blocks
    return f"{shown_place(hathor.node_url)}, {page.latest_event_id + 1} events, rewards are locked for {blocks} blocks"


async def _events(one: Installed, hathor: HathorSettings) -> str:
    """Whether the node's events continue those that were applied: another node, or a reset one, ends the sync."""
    async with reading(one) as database:
        metadata = tables.sync_metadata.c
        row = await database.fetch_one(select(metadata.last_event_id).where(metadata.id == 0))
        last_id = NO_EVENT if row is None else row.last_event_id
        node = HttpEventNode(hathor.node_url, hathor.ws_url)
        try:
            latest_id = (await node.page(last_id)).latest_event_id
            compare_end(latest_id, last_id)
            if latest_id < 0:
                return "none yet"
            async with node.stream() as stream:
                await stream.start(latest_id - 1, 1)
                frames = await stream.next_frames(1, STREAM_S)
            for frame in frames:
                if frame.event is None:
                    raise Unavailable(f"the event stream is refused: {frame.error_message or frame.type}")
                await database.read(partial(compare_source, frame=frame, pins=_pins(hathor)))
        except WrongSourceError as error:
            raise Conflict(str(error)) from error
        except StrongroomError as error:
            raise Unavailable(f"{shown_place(hathor.ws_url or hathor.node_url)}: {error.message}") from error
        finally:
            await node.close()
    if not frames:
        raise Unavailable(f"{shown_place(hathor.ws_url or hathor.node_url)}: the event stream is silent")
    return f"{last_id + 1} of {latest_id + 1} applied"


def _pins(hathor: HathorSettings) -> Pins:
    return Pins(network=hathor.fullnode_network, peer_id=hathor.peer_id, stream_id=hathor.stream_id)
