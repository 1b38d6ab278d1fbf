"""`strongroom atto reconcile`: compares the stored accounts with the node's, and resolves lasting differences."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from strongroom.atto.definition import LEDGER
from strongroom.atto.gateway.node import HttpNode
from strongroom.atto.protocol import Network
from strongroom.atto.transactions.abandonment import abandon
from strongroom.atto.transactions.blocks import transaction_of
from strongroom.atto.transactions.reconciliation import Comparison, Reconciler, require_abandonable
from strongroom.core.clock import SystemClock
from strongroom.core.errors import Conflict, InvalidInput
from strongroom.core.ledger.contract import Administration, Ledger, administration_of
from strongroom.core.security.access import OPERATOR
from strongroom.core.terminal import print_table

RESTART = "Restart the service: it remembers what it has seen of these accounts."


def reconcile(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Show the differences as JSON.")] = False,
    offer: Annotated[
        list[str] | None,
        typer.Option(
            help="Hash of an open or last block that the node lacks: offer it, and what precedes it, to the node"
            " again as the same bytes; repeatable."
        ),
    ] = None,
    abandon_: Annotated[
        list[str] | None,
        typer.Option(
            "--abandon",
            help="Hash of an open or last block that the network can never have: take its account back to where the"
            " node's chain stands; repeatable. Needs --node.",
        ),
    ] = None,
    node: Annotated[
        list[str] | None,
        typer.Option(
            help="With --abandon: NODE_BASE_URL once more, to confirm whose word counts; repeatable with further"
            " nodes of the network, which must agree."
        ),
    ] = None,
) -> None:
    """Compare the accounts with the node. Nothing is changed unless an option names a block's hash."""
    asyncio.run(
        _reconcile(
            administration_of(context),
            as_json=as_json,
            offered=offer or [],
            abandoned=abandon_ or [],
            urls=node or [],
        )
    )


async def _reconcile(
    administration: Administration,
    *,
    as_json: bool,
    offered: list[str],
    abandoned: list[str],
    urls: list[str],
) -> None:
    atto = administration.settings(LEDGER)
    async with administration.prepared(LEDGER) as ledger:
        if abandoned and atto.node_url not in [url.rstrip("/") for url in urls]:
            raise InvalidInput(
                "--abandon needs --node with the URL of the node that is configured, NODE_BASE_URL, to confirm it"
            )
        others = [url.rstrip("/") for url in urls if url.rstrip("/") != atto.node_url]
        nodes = [HttpNode(url, SystemClock()) for url in (atto.node_url, *others)]
        try:
            readers = [Reconciler(node=one, database=ledger.database, network=atto.network) for one in nodes]
            for reader in readers:
                await reader.require_network()
            for block_hash in offered:
                await _offer(readers[0], nodes[0], _hash(block_hash))
            for block_hash in abandoned:
                await _abandon(readers, ledger, atto.network, _hash(block_hash))
            if not offered and not abandoned:
                _show(await readers[0].compare(), as_json=as_json)
        finally:
            for one in nodes:
                await one.close()


async def _offer(reader: Reconciler, node: HttpNode, block_hash: bytes) -> None:
    divergence = await reader.judge(block_hash)
    if not divergence.may_be_accepted:
        raise Conflict("The node cannot take the block: it has another chain")
    for transaction in await reader.missing_blocks(divergence):
        await node.publish(transaction)
        typer.echo(
            f"the node has {transaction.hash.hex().upper()} at height {transaction.block.height} again"
        )


async def _abandon(
    readers: Sequence[Reconciler], ledger: Ledger, network: Network, block_hash: bytes
) -> None:
    divergence = require_abandonable([await reader.judge(block_hash) for reader in readers])
    clock = SystemClock()
    work = partial(
        abandon,
        divergence=divergence,
        principal=OPERATOR,
        audit=ledger.audit,
        network=network,
        now_ms=clock.now_ms(),
        told=ledger.payment_events.abandoned,
    )
    hashes = await ledger.database.write(work)
    height = divergence.node.height if divergence.node else 0
    typer.echo(
        f"{divergence.account.address.path} stands at height {height}; abandoned blocks: {len(hashes)}"
    )
    for one in hashes:
        typer.echo(f"  {one.hex().upper()}")
    typer.echo(RESTART)


def _hash(text: str) -> bytes:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != 32:  # noqa: PLR2004 - BLAKE2b-256
        raise InvalidInput(f"{text} is no hash: it has 64 hex digits")
    return value


def _show(found: Sequence[Comparison], *, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode([_document(one) for one in found]).decode())
        return
    if not found:
        typer.echo("Every account stands as at the node, and no block is open.")
        return
    table = Table("account", "here", "node", "open block", "standing")
    for one in found:
        document = _document(one)
        block = document["openBlock"]
        table.add_row(
            Text(document["address"], overflow="fold"),
            _place(document["stored"]),
            _place(document["node"]),
            Text(f"{block['hash']} at {block['height']}" if block else "", overflow="fold"),
            document["standing"],
        )
    print_table(table)


def _place(state: dict[str, Any] | None) -> Text:
    return Text("not open" if state is None else f"{state['height']} {state['frontier']}", overflow="fold")


def _document(one: Comparison) -> dict[str, Any]:
    states = {"stored": one.account.state, "node": one.node}
    block = one.open_block
    return {
        "address": one.account.address.path,
        "wallet": one.account.wallet_name,
        **{
            name: None
            if state is None
            else {"height": state.height, "frontier": state.frontier.hex().upper(), "balance": state.balance}
            for name, state in states.items()
        },
        "openBlock": None
        if block is None
        else {
            "hash": block.id.hex().upper(),
            "height": transaction_of(block).block.height,
            "signedAtMs": block.created_at_ms,
        },
        "standing": one.standing.value,
    }
