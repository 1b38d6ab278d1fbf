"""What must be the same of an account in the official client, in our API and on the network."""

from contextlib import suppress
from typing import Any

import anyio
import msgspec

from strongroom.atto.history.views import entry_view
from strongroom.atto.protocol import AccountState, Address
from support.atto_network import AttoNetwork
from support.atto_service import AttoService, until
from support.js_atto import JsWallet
from support.waiting import eventually

TOLD_AGAIN_S = 2.0


async def assert_agree(service: AttoService, js: JsWallet, address: str) -> AccountState | None:
    """Details and history are the same in both, and the client finds every transaction valid.

    Returns the state as the client reads it from the node; None while the account is not open.
    """
    account = Address.parse(address)
    state = await js.node_account(account)
    assert await service.details(address) == (None if state is None else _details(state))
    entries = [] if state is None else await js.entries(account, 1, state.height)
    history = [msgspec.to_builtins(entry_view(one)) for one in entries]
    assert await search(service, address) == history
    await until(lambda: _stored(service, address), lambda stored: stored == history)
    verdicts = [] if state is None else await js.verdicts(account, 1, state.height)
    assert [(one.error, one.hash) for one in verdicts] == [(None, one.hash) for one in entries]
    return state


async def until_received(network: AttoNetwork, address: Address, height: int) -> None:
    """Returns when the official client has received on its account until it has this height.

    The client lets go of a receivable when the node refuses its block, which happens for the reason that
    `JsWallet.send` is repeated for. It tries again when it is told again, by the replay of a new stream.
    """

    def received() -> bool:
        state = network.state(address.path)
        return state is not None and state.height >= height

    for _ in range(3):
        with suppress(TimeoutError), anyio.fail_after(TOLD_AGAIN_S):
            return await eventually(received)
        network.cut_streams()
    return await eventually(received)


async def search(service: AttoService, address: str) -> list[dict[str, Any]]:
    """All entries of the account, ascending, as the published route answers."""
    search = {"search": [{"address": address, "fromHeight": 1}]}
    found: list[dict[str, Any]] = await service.post("/wallets/accounts/entries", search)
    return found


async def _stored(service: AttoService, address: str) -> list[dict[str, Any]]:
    """The same from the service's own store."""
    page = await service.get(f"/wallets/accounts/{address}/entries?limit=100")
    assert page["nextCursor"] is None
    newest_first: list[dict[str, Any]] = page["entries"]
    return newest_first[::-1]


def _details(state: AccountState) -> dict[str, Any]:
    return {
        "address": Address(public_key=state.public_key).path,
        "version": 0,
        "height": state.height,
        "balance": state.balance,
        "lastTransactionHash": state.frontier.hex().upper(),
        "lastTransactionTimestamp": state.timestamp_ms,
        "representativeAddress": Address(public_key=state.representative_public_key).path,
    }
