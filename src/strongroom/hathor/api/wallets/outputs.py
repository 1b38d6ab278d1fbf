"""A wallet's outputs: `wallet/tx_outputs`, and its older form `wallet/utxos`."""

from dataclasses import replace
from typing import Any, Literal

import msgspec
from litestar import Controller, get

from strongroom.core.storage.database import Database
from strongroom.hathor.api.access import Caller
from strongroom.hathor.api.answers import Amount, Hash, Seconds, Success
from strongroom.hathor.api.refusal import Refusal, refused
from strongroom.hathor.api.requests import Request, read_query
from strongroom.hathor.api.terms import Access, Terms
from strongroom.hathor.api.validation import Key, Schema, amount, flag, number, text
from strongroom.hathor.wallets.access import WalletNotReady
from strongroom.hathor.wallets.history import address_path, all_addresses, owned
from strongroom.hathor.wallets.registry import Wallet, WalletNotFound
from strongroom.hathor.wallets.utxos import (
    MAX_VALUE,
    Filter,
    Output,
    covering,
    is_locked,
    read_output,
    read_outputs,
    within,
)

MAX_OUTPUTS = 255
SHIELDED = "shielded"
SKIP_SPENT = "skipSpent"
OUTPUTS = Schema(
    keys={
        "id": Key(check=text()),
        "addresses": Key(check=text(alphanumeric=True), items=True),
        "tokenId": Key(check=text(), default="00"),
        "authority": Key(check=number(integer=True, positive=True), default=0),
        "ignoreLocked": Key(check=flag(), default=False),
        "biggerThan": Key(check=amount(), default=0),
        "smallerThan": Key(check=amount(), default=MAX_VALUE + 1),
        "totalAmount": Key(check=amount()),
        "maxAmount": Key(check=amount()),
        "maxOutputs": Key(check=number(integer=True, positive=True), default=MAX_OUTPUTS),
        SKIP_SPENT: Key(check=flag(), default=True),
        "txId": Key(check=text()),
        "index": Key(check=number(low=0)),
        "kind": Key(check=text(only=("transparent", SHIELDED))),
    },
    needs={"txId": "index", "index": "txId"},
    apart=(("totalAmount", "maxAmount"),),
    unknown=True,
)

UTXOS = replace(OUTPUTS, keys={name: key for name, key in OUTPUTS.keys.items() if name != SKIP_SPENT})
"""Spent ones are always skipped."""
REFUSED = {
    400: refused("`invalid-payload`, `address-not-in-wallet` or `wallet-not-ready`"),
    403: refused("`tx-output-not-in-wallet`"),
    404: refused("`wallet-not-found`"),
}


class OutputEntry(msgspec.Struct, kw_only=True, rename="camel"):
    tx_id: Hash
    index: int
    token_id: str
    address: str
    value: Amount
    authorities: int
    timelock: Seconds | None
    heightlock: int | None
    locked: bool
    tx_proposal_id: str | None
    tx_proposal_index: int | None
    spent_by: Hash | None
    mode: int
    recovery_state: str | None
    address_path: str
    kind: Literal["transparent", "shielded"]


class OutputsAnswer(Success, kw_only=True, rename="camel"):
    tx_outputs: list[OutputEntry]


class UtxosAnswer(Success, kw_only=True):
    utxos: list[OutputEntry]


class OutputController(Controller):
    path = "/wallet"
    tags = ("Wallet",)

    @get(
        "/tx_outputs",
        summary="Outputs, by filter or by id, or enough of them for an amount",
        opt=Terms(access=Access.TOKEN, query=OUTPUTS, amounts=True).opt,
        responses=REFUSED,
    )
    async def tx_outputs(self, request: Request) -> OutputsAnswer:
        caller = request.caller
        return OutputsAnswer(tx_outputs=await _outputs(request, caller, OUTPUTS))

    @get(
        "/utxos",
        summary="Unspent outputs, by the same filters",
        opt=Terms(access=Access.TOKEN, query=UTXOS, amounts=True).opt,
        responses=REFUSED,
    )
    async def utxos(self, request: Request) -> UtxosAnswer:
        caller = request.caller
        return UtxosAnswer(utxos=await _outputs(request, caller, UTXOS))


async def _outputs(request: Request, caller: Caller, schema: Schema) -> list[OutputEntry]:
    asked = {key: value for key, value in read_query(request).items() if key != "addresses"}
    if addresses := request.query_params.getall("addresses[]", []):
        asked["addresses"] = addresses
    query = {SKIP_SPENT: True, **schema.check(asked, convert=True)}
    now_s, database = caller.now_s, caller.database
    wallet = await caller.known_wallet()
    outputs = await _select(database, caller.wallet_id, query, now_s)
    if not outputs and not query["txId"]:
        await _check_loaded(database, wallet)
    return [_entry(output, now_s) for output in outputs]


async def _check_loaded(database: Database, wallet: Wallet | None) -> None:
    """That it has no outputs says nothing while it has no addresses. Raises: Refusal."""
    if wallet is None:
        raise WalletNotFound
    if wallet.ready_at_s is None and not await all_addresses(database, wallet.id):
        raise WalletNotReady


async def _select(database: Database, wallet_id: str, query: dict[str, Any], now_s: int) -> list[Output]:
    if query["txId"] is not None:
        return await _named(database, wallet_id, query)
    addresses: list[str] = query["addresses"] or []
    if addresses:
        mine = await owned(database, wallet_id, addresses)
        if missing := [address for address in addresses if address not in mine]:
            raise Refusal(400, "address-not-in-wallet", missing=missing)
    if query["kind"] == SHIELDED:
        return []
    wanted = Filter(
        token_id=query["tokenId"],
        authority=query["authority"],
        skip_locked=query["ignoreLocked"],
        skip_spent=query[SKIP_SPENT],
        above=query["biggerThan"],
        below=query["smallerThan"],
        most=min(query["maxOutputs"], 2**31),
        addresses=addresses,
    )
    outputs = await read_outputs(database, wallet_id, wanted, now_s)
    if query["totalAmount"] is not None:
        return covering(outputs, query["totalAmount"])
    return outputs if query["maxAmount"] is None else within(outputs, query["maxAmount"])


async def _named(database: Database, wallet_id: str, query: dict[str, Any]) -> list[Output]:
    """One output, or none. Raises: Refusal."""
    found = await read_output(database, query["txId"], query["index"], skip_spent=query[SKIP_SPENT])
    if found is None:
        return []
    if found.wallet_id != wallet_id:
        raise Refusal(403, "tx-output-not-in-wallet")
    return [] if query["kind"] == SHIELDED else [found]


def _entry(output: Output, now_s: int) -> OutputEntry:
    return OutputEntry(
        tx_id=output.tx_id,
        index=output.position,
        token_id=output.token_id,
        address=output.address,
        value=output.value,
        authorities=output.authorities,
        timelock=output.timelock,
        heightlock=output.heightlock,
        locked=is_locked(output, now_s),
        tx_proposal_id=output.tx_proposal,
        tx_proposal_index=output.tx_proposal_index,
        spent_by=output.spent_by,
        mode=output.mode,
        recovery_state=output.recovery_state,
        address_path=address_path(output.key_index or 0, output.account or 0),
        kind="transparent",
    )
