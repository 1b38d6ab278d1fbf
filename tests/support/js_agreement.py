"""What must be the same of an account in the official client, in our API and on the network."""

from typing import Any

import msgspec

from strongroom.atto.protocol import AccountState, Address
from strongroom.atto.views import entry_view
from support.atto_service import AttoService, until
from support.js_atto import JsWallet


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
