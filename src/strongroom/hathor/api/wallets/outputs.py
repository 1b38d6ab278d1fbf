"""Routes about a wallet's outputs: `wallet/tx_outputs`, and its older form `wallet/utxos`."""

from dataclasses import replace
from typing import Any

from litestar import Response

from strongroom.core.storage.database import Database
from strongroom.hathor.api.refusal import Refusal
from strongroom.hathor.api.requests import Request, answer, bearer, read_query
from strongroom.hathor.api.validation import Key, Schema, amount, flag, number, text
from strongroom.hathor.wallets.access import WalletNotReady, WalletReader
from strongroom.hathor.wallets.history import address_path, all_addresses, owned
from strongroom.hathor.wallets.jwt import Tokens
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


class OutputRoutes:
    def __init__(self, reader: WalletReader, tokens: Tokens) -> None:
        self._reader = reader
        self._tokens = tokens

    async def tx_outputs(self, request: Request) -> Response[bytes]:
        return answer(txOutputs=await self._outputs(request, OUTPUTS))

    async def utxos(self, request: Request) -> Response[bytes]:
        return answer(utxos=await self._outputs(request, UTXOS))

    async def _outputs(self, request: Request, schema: Schema) -> list[dict[str, Any]]:
        principal = bearer(request, self._tokens, full=False)
        asked = {key: value for key, value in read_query(request).items() if key != "addresses"}
        if addresses := request.query_params.getall("addresses[]", []):
            asked["addresses"] = addresses
        query = {SKIP_SPENT: True, **schema.check(asked, convert=True)}
        now_s, database = self._reader.now_s, self._reader.database
        wallet = await self._reader.known_wallet(principal)
        outputs = await _select(database, principal.wallet_id, query, now_s)
        if not outputs and not query["txId"]:
            await _check_loaded(database, wallet)
        return [_encode(output, now_s) for output in outputs]


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


def _encode(output: Output, now_s: int) -> dict[str, Any]:
    return {
        "txId": output.tx_id,
        "index": output.position,
        "tokenId": output.token_id,
        "address": output.address,
        "value": output.value,
        "authorities": output.authorities,
        "timelock": output.timelock,
        "heightlock": output.heightlock,
        "locked": is_locked(output, now_s),
        "txProposalId": output.tx_proposal,
        "txProposalIndex": output.tx_proposal_index,
        "spentBy": output.spent_by,
        "mode": output.mode,
        "recoveryState": output.recovery_state,
        "addressPath": address_path(output.key_index or 0, output.account or 0),
        "kind": "transparent",
    }
