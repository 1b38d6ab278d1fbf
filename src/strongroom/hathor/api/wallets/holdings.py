"""What a wallet has and what it did: balances, tokens, transactions."""

from typing import Annotated

import msgspec
from litestar import Controller, get
from msgspec import Meta

from strongroom.hathor.api.answers import Amount, Hash, Seconds, Success
from strongroom.hathor.api.refusal import Refusal, refused
from strongroom.hathor.api.requests import Request, read_query
from strongroom.hathor.api.terms import Access, Terms
from strongroom.hathor.api.validation import Key, Schema, flag, text
from strongroom.hathor.api.wallets.wallet import NOT_READY, LoadStatus, load_status
from strongroom.hathor.wallets import history as histories
from strongroom.hathor.wallets.balances import MELT, MINT, Balance, read_balances

BALANCES = Schema(
    keys={"token_id": Key(check=text(alphanumeric=True)), "split": Key(check=flag(), default=False)}
)
TRANSACTION = Schema(keys={"txId": Key(check=text(least=64, most=64), required=True)})
TokenVersion = Annotated[int, Meta(description="0 native, 1 with a deposit, 2 with a fee")]


class TokenName(msgspec.Struct, kw_only=True):
    id: str
    name: str
    symbol: str
    version: TokenVersion | None


class SplitAmount(msgspec.Struct, kw_only=True):
    """With `split=true`."""

    transparent: Amount
    shielded: Amount
    total: Amount


class BalanceSums(msgspec.Struct, kw_only=True):
    unlocked: Amount | SplitAmount
    locked: Amount | SplitAmount


class Authorities(msgspec.Struct, kw_only=True):
    mint: bool
    melt: bool


class AuthoritySums(msgspec.Struct, kw_only=True):
    unlocked: Authorities
    locked: Authorities


class TokenBalance(msgspec.Struct, kw_only=True, rename="camel"):
    token: TokenName
    transactions: int
    balance: BalanceSums
    token_authorities: AuthoritySums
    lock_expires: Seconds | None


class BalancesAnswer(Success, kw_only=True):
    balances: list[TokenBalance]
    status: LoadStatus


class TokensAnswer(Success, kw_only=True):
    tokens: list[str]


class TransactionToken(msgspec.Struct, kw_only=True, rename="camel"):
    tx_id: Hash
    timestamp: Seconds
    version: int
    voided: bool
    weight: float | None
    balance: Amount
    token_id: str
    token_name: str | None
    token_symbol: str | None


class TransactionAnswer(Success, kw_only=True, rename="camel"):
    tx_tokens: list[TransactionToken]


class HoldingController(Controller):
    path = "/wallet"
    tags = ("Wallet",)

    @get(
        "/balances",
        summary="What the wallet has, by token",
        opt=Terms(access=Access.TOKEN, query=BALANCES, amounts=True).opt,
        responses=NOT_READY,
    )
    async def balances(self, request: Request) -> BalancesAnswer:
        caller = request.caller
        query = BALANCES.check(read_query(request), convert=True)
        wallet = await caller.ready_wallet()
        found = await read_balances(caller.database, wallet.id, query["token_id"], caller.now_s)
        split = query["split"]
        return BalancesAnswer(
            balances=[token_balance(balance, split=split) for balance in found],
            status=load_status(wallet),
        )

    @get("/tokens", summary="Tokens of the wallet's transactions", opt=Terms(access=Access.TOKEN).opt)
    async def tokens(self, request: Request) -> TokensAnswer:
        caller = request.caller
        await caller.known_wallet()
        return TokensAnswer(tokens=await histories.tokens(caller.database, caller.wallet_id))

    @get(
        "/transactions/{txId:str}",
        summary="What one transaction changed, by token",
        opt=Terms(access=Access.TOKEN, path=TRANSACTION, amounts=True).opt,
        responses={404: refused("`tx-not-found`")},
    )
    async def transaction(self, request: Request) -> TransactionAnswer:
        caller = request.caller
        tx_id = TRANSACTION.check(request.path_params)["txId"]
        await caller.known_wallet()
        found = await histories.transaction_tokens(caller.database, caller.wallet_id, tx_id)
        if not found:
            raise Refusal(404, "tx-not-found")
        return TransactionAnswer(
            tx_tokens=[
                TransactionToken(
                    tx_id=part.tx_id,
                    timestamp=part.timestamp_s,
                    version=part.version,
                    voided=part.voided,
                    weight=part.weight,
                    balance=part.balance,
                    token_id=part.token_id,
                    token_name=part.token_name,
                    token_symbol=part.token_symbol,
                )
                for part in found
            ]
        )


def token_balance(balance: Balance, *, split: bool) -> TokenBalance:
    return TokenBalance(
        token=TokenName(
            id=balance.token_id, name=balance.name, symbol=balance.symbol, version=balance.version
        ),
        transactions=balance.transactions,
        balance=balance_sums(balance, split=split),
        token_authorities=authority_sums(balance),
        lock_expires=balance.lock_expires_s,
    )


def balance_sums(balance: Balance, *, split: bool) -> BalanceSums:
    return BalanceSums(
        unlocked=_sum(balance.unlocked, balance.unlocked_shielded, split=split),
        locked=_sum(balance.locked, balance.locked_shielded, split=split),
    )


def authority_sums(balance: Balance) -> AuthoritySums:
    return AuthoritySums(
        unlocked=_authorities(balance.unlocked_authorities),
        locked=_authorities(balance.locked_authorities),
    )


def _sum(transparent: int, shielded: int, *, split: bool) -> int | SplitAmount:
    total = transparent + shielded
    return SplitAmount(transparent=transparent, shielded=shielded, total=total) if split else total


def _authorities(mask: int) -> Authorities:
    return Authorities(mint=bool(mask & MINT), melt=bool(mask & MELT))
