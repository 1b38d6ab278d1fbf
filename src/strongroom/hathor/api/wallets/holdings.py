"""Routes about what a wallet has and what it did: balances, tokens, transactions."""

from typing import Any

from litestar import Response

from strongroom.hathor.api.refusal import Refusal
from strongroom.hathor.api.requests import Request, answer, bearer, read_query
from strongroom.hathor.api.validation import Key, Schema, flag, text
from strongroom.hathor.wallets import history as histories
from strongroom.hathor.wallets.access import WalletReader
from strongroom.hathor.wallets.balances import MELT, MINT, Balance, read_balances
from strongroom.hathor.wallets.jwt import Tokens

BALANCES = Schema(
    keys={"token_id": Key(check=text(alphanumeric=True)), "split": Key(check=flag(), default=False)}
)
TRANSACTION = Schema(keys={"txId": Key(check=text(least=64, most=64), required=True)})


class HoldingRoutes:
    def __init__(self, reader: WalletReader, tokens: Tokens) -> None:
        self._reader = reader
        self._tokens = tokens

    async def balances(self, request: Request) -> Response[bytes]:
        principal = bearer(request, self._tokens, full=False)
        query = BALANCES.check(read_query(request), convert=True)
        wallet = await self._reader.ready_wallet(principal)
        database, now_s = self._reader.database, self._reader.now_s
        balances = await read_balances(database, wallet.id, query["token_id"], now_s)
        return answer(
            balances=[encode_balance(balance, split=query["split"]) for balance in balances],
            status=wallet.status,
        )

    async def tokens(self, request: Request) -> Response[bytes]:
        principal = bearer(request, self._tokens, full=False)
        await self._reader.known_wallet(principal)
        return answer(tokens=await histories.tokens(self._reader.database, principal.wallet_id))

    async def transaction(self, request: Request) -> Response[bytes]:
        principal = bearer(request, self._tokens, full=False)
        tx_id = TRANSACTION.check(request.path_params)["txId"]
        await self._reader.known_wallet(principal)
        found = await histories.transaction_tokens(self._reader.database, principal.wallet_id, tx_id)
        if not found:
            raise Refusal(404, "tx-not-found")
        return answer(txTokens=found)


def encode_balance(balance: Balance, *, split: bool) -> dict[str, Any]:
    return {
        "token": {
            "id": balance.token_id,
            "name": balance.name,
            "symbol": balance.symbol,
            "version": balance.version,
        },
        "transactions": balance.transactions,
        "balance": {
            "unlocked": _sum(balance.unlocked, balance.unlocked_shielded, split=split),
            "locked": _sum(balance.locked, balance.locked_shielded, split=split),
        },
        "tokenAuthorities": {
            "unlocked": _authorities(balance.unlocked_authorities),
            "locked": _authorities(balance.locked_authorities),
        },
        "lockExpires": balance.lock_expires_s,
    }


def _sum(transparent: int, shielded: int, *, split: bool) -> object:
    total = transparent + shielded
    return {"transparent": transparent, "shielded": shielded, "total": total} if split else total


def _authorities(mask: int) -> dict[str, bool]:
    return {"mint": bool(mask & MINT), "melt": bool(mask & MELT)}
