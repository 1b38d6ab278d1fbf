"""What `strongroom doctor` asks of the toy ledger, beyond its database and its audit trail."""

from collections.abc import Mapping
from functools import partial

from strongroom.core.ledger.contract import Check
from strongroom.core.ledger.installed import Installed, reading
from strongroom.core.ledger.keys.backends import opened_backends
from strongroom.core.security.custody.opening import inspect_holdings
from strongroom_toy.accounts import AccountHoldings
from strongroom_toy.node import ToyNode
from strongroom_toy.settings import ToySettings


def toy_checks(one: Installed, settings: ToySettings) -> Mapping[str, Check]:
    return {"toy keys": partial(_keys, one, settings), "toy node": partial(_node, settings)}


async def _keys(one: Installed, settings: ToySettings) -> str:
    async with reading(one) as database, opened_backends(settings.key) as backends:
        found = await inspect_holdings(settings.key, database, AccountHoldings(), backends)
    return f"{found.sealed} of {found.rows} accounts open"


async def _node(settings: ToySettings) -> str:
    node = ToyNode(settings.node_url)
    try:
        await node.check()
    finally:
        await node.close()
    return settings.node_url
