"""Routes about a wallet's outputs: `wallet/tx_outputs`, and its older form `wallet/utxos`."""

from collections.abc import Sequence
from typing import Any

from litestar import Response
from sqlalchemy import Connection, Row

from strongroom.hathor.api.joi import Key, Schema, amount, flag, number, text
from strongroom.hathor.api.reading import Reader
from strongroom.hathor.api.refusal import Refusal
from strongroom.hathor.api.requests import Asked, answer, bearer, read_query
from strongroom.hathor.histories import address_path, owned
from strongroom.hathor.outputs import (
    LARGEST,
    Filter,
    covering,
    find_output,
    find_outputs,
    is_locked,
    within,
)
from strongroom.hathor.tokens import Tokens

MOST_OUTPUTS = 255
OUTPUTS = Schema(
    keys={
        "id": Key(check=text()),
        "addresses": Key(check=text(), items=True),
        "tokenId": Key(check=text(), default="00"),
        "authority": Key(check=number(integer=True, positive=True), default=0),
        "ignoreLocked": Key(check=flag(), default=False),
        "biggerThan": Key(check=amount(), default=0),
        "smallerThan": Key(check=amount(), default=LARGEST + 1),
        "totalAmount": Key(check=amount()),
        "maxAmount": Key(check=amount()),
        "maxOutputs": Key(check=number(integer=True, positive=True), default=MOST_OUTPUTS),
        "skipSpent": Key(check=flag(), default=True),
        "txId": Key(check=text()),
        "index": Key(check=number(integer=True, low=0)),
        "kind": Key(check=text(only=("transparent", "shielded"))),
    },
    needs={"txId": "index", "index": "txId"},
    apart=(("totalAmount", "maxAmount"),),
    unknown=True,
)


class OutputRoutes:
    def __init__(self, reader: Reader, tokens: Tokens) -> None:
        self._reader = reader
        self._tokens = tokens

    async def tx_outputs(self, request: Asked) -> Response[bytes]:
        return answer(txOutputs=await self._outputs(request))

    async def utxos(self, request: Asked) -> Response[bytes]:
        return answer(utxos=await self._outputs(request, skip_spent=True))

    async def _outputs(self, request: Asked, *, skip_spent: bool = False) -> list[dict[str, Any]]:
        principal = bearer(request, self._tokens, full=False)
        asked = {key: value for key, value in read_query(request).items() if key != "addresses"}
        if addresses := request.query_params.getall("addresses[]", []):
            asked["addresses"] = addresses
        query = OUTPUTS.check(asked, convert=True)
        query["skipSpent"] = query["skipSpent"] or skip_spent
        now_s = self._reader.now_s
        rows = await self._reader.read(principal, lambda c, w: _select(c, w.id, query, now_s))
        return [_encode(row, now_s) for row in rows]


def _select(connection: Connection, wallet_id: str, query: dict[str, Any], now_s: int) -> Sequence[Row[Any]]:
    if query["txId"] is not None:
        found = find_output(connection, query["txId"], query["index"], skip_spent=query["skipSpent"])
        if found is not None and found.wallet_id != wallet_id:
            raise Refusal(403, "tx-output-not-in-wallet")
        return [] if found is None else [found]
    addresses: list[str] = query["addresses"] or []
    if addresses:
        mine = owned(connection, wallet_id, addresses)
        if missing := [address for address in addresses if address not in mine]:
            raise Refusal(400, "address-not-in-wallet", missing=missing)
    if query["kind"] == "shielded":
        return []
    wanted = Filter(
        token_id=query["tokenId"],
        authority=query["authority"],
        skip_locked=query["ignoreLocked"],
        skip_spent=query["skipSpent"],
        above=query["biggerThan"],
        below=query["smallerThan"],
        most=min(query["maxOutputs"], 2**31),
        addresses=addresses,
    )
    rows = find_outputs(connection, wallet_id, wanted, now_s)
    if query["totalAmount"] is not None:
        return covering(rows, query["totalAmount"])
    return rows if query["maxAmount"] is None else within(rows, query["maxAmount"])


def _encode(row: Row[Any], now_s: int) -> dict[str, Any]:
    return {
        "txId": row.tx_id,
        "index": row._mapping["index"],  # noqa: SLF001 - SQLAlchemy's public name; Row.index is a method
        "tokenId": row.token_id,
        "address": row.address,
        "value": row.value,
        "authorities": row.authorities,
        "timelock": row.timelock,
        "heightlock": row.heightlock,
        "locked": is_locked(row, now_s),
        "txProposalId": row.tx_proposal,
        "txProposalIndex": row.tx_proposal_index,
        "spentBy": row.spent_by,
        "mode": row.mode,
        "recoveryState": row.recovery_state,
        "addressPath": address_path(row.key_index, row.bip32_account or 0),
        "kind": "transparent",
    }
