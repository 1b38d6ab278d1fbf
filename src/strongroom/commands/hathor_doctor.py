"""What `strongroom doctor` asks of the Hathor ledger."""

from collections.abc import Awaitable, Callable
from functools import partial

from strongroom.commands.installed import Installed, check_schema, reading
from strongroom.core.audit import verify
from strongroom.core.errors import StrongroomError, Unavailable
from strongroom.hathor.gateway.events import HttpEventNode
from strongroom.hathor.settings import HathorSettings

Check = Callable[[], Awaitable[str]]


def hathor_checks(one: Installed, hathor: HathorSettings) -> dict[str, Check]:
    return {
        "hathor database": partial(check_schema, one),
        "hathor audit trail": partial(_audit, one),
        "hathor node": partial(_node, hathor),
    }


async def _audit(one: Installed) -> str:
    async with reading(one) as database:
        return f"{await verify(database)} rows verified"


async def _node(hathor: HathorSettings) -> str:
    node = HttpEventNode(hathor.node_url, hathor.ws_url)
    try:
        version, page = await node.version(), await node.page(-1)
    except StrongroomError as error:
        raise Unavailable(f"{hathor.node_url}: {error.message}") from error
    finally:
        await node.close()
    blocks = version.reward_spend_min_blocks
    return f"{hathor.node_url}, {page.latest_event_id + 1} events, rewards are locked for {blocks} blocks"
