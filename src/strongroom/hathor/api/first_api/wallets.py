"""The original's first API, of 2021: a wallet is named by its id alone, and nobody proves who they are.

So it is off unless the operator turns it on, answers on loopback only or to an API token, and to no web page.
"""

from typing import Any

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency

from strongroom.core.clock import Clock
from strongroom.core.errors import Conflict
from strongroom.core.storage.database import Database
from strongroom.hathor.api.answers import Amount, Hash, Seconds, Success
from strongroom.hathor.api.first_api.access import TAG
from strongroom.hathor.api.refusal import Refusal, refused
from strongroom.hathor.api.requests import Request, read_body, read_query
from strongroom.hathor.api.terms import Access, Terms
from strongroom.hathor.api.validation import Key, Problem, Schema, invalid_payload, number, text
from strongroom.hathor.api.wallets.holdings import AuthoritySums, BalanceSums, authority_sums, balance_sums
from strongroom.hathor.api.wallets.registration import RegistrationRules, check_first_address
from strongroom.hathor.api.wallets.wallet import NOT_READY, UNKNOWN, LoadStatus, load_status
from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.keys import first_address, wallet_id
from strongroom.hathor.scopes import READ
from strongroom.hathor.wallets import history as histories
from strongroom.hathor.wallets.access import require_ready
from strongroom.hathor.wallets.balances import Balance, read_balances
from strongroom.hathor.wallets.history import Entry
from strongroom.hathor.wallets.loading import WalletLoader
from strongroom.hathor.wallets.registry import (
    Wallet,
    WalletNotFound,
    new_wallet,
    read_wallet,
    register_wallet,
)

MAX_ENTRIES = 15
ID = Key(check=text(), required=True)
TOKEN_ID = text(alphanumeric=True)
NAMED = Schema(keys={"id": ID})
BALANCES = Schema(keys={"id": ID, "token_id": Key(check=TOKEN_ID)})
HISTORY = Schema(
    keys={
        "id": ID,
        "token_id": Key(check=TOKEN_ID, default="00"),
        "skip": Key(check=number(integer=True, low=0), default=0),
        "count": Key(check=number(integer=True, positive=True, high=MAX_ENTRIES), default=MAX_ENTRIES),
    }
)


class LegacyStatus(msgspec.Struct, kw_only=True, rename="camel"):
    wallet_id: Hash
    xpubkey: str
    max_gap: int
    status: LoadStatus
    created_at: Seconds
    ready_at: Seconds | None


class LegacyStatusAnswer(Success, kw_only=True):
    status: LegacyStatus


class LegacyTokenName(msgspec.Struct, kw_only=True):
    id: str
    name: str
    symbol: str


class LegacyBalance(msgspec.Struct, kw_only=True, rename="camel"):
    token: LegacyTokenName
    transactions: int
    balance: BalanceSums
    token_authorities: AuthoritySums
    lock_expires: Seconds | None


class LegacyBalancesAnswer(Success, kw_only=True):
    balances: list[LegacyBalance]


class LegacyAddress(msgspec.Struct, kw_only=True):
    address: str
    index: int
    transactions: int


class LegacyAddressesAnswer(Success, kw_only=True):
    addresses: list[LegacyAddress]


class LegacyEntry(msgspec.Struct, kw_only=True, rename="camel"):
    tx_id: Hash
    timestamp: Seconds
    balance: Amount


class LegacyHistoryAnswer(Success, kw_only=True):
    history: list[LegacyEntry]
    skip: int
    count: int


def load_schema(rules: RegistrationRules) -> Schema:
    """The body of `POST wallet`."""
    return Schema(
        keys={
            "xpubkey": Key(check=text(), required=True),
            "firstAddress": Key(check=text(), required=rules.confirm_first_address),
        }
    )


class LegacyWallets:
    """Wallets by their ids."""

    def __init__(
        self, *, database: Database, clock: Clock, loader: WalletLoader, rules: RegistrationRules
    ) -> None:
        self.database = database
        self._clock = clock
        self._loader = loader
        self._rules = rules
        self.load_schema = load_schema(rules)

    @property
    def now_s(self) -> int:
        return self._clock.now_ms() // 1000

    async def load(self, body: dict[str, Any]) -> Wallet:
        """The account's key becomes the authentication key too, until the wallet registers one. Raises: Refusal."""
        wallet = self._new(body["xpubkey"], body["firstAddress"])
        stored = await read_wallet(self.database, wallet.id)
        if stored is not None:
            raise _already_loaded(stored)
        try:
            registered = await register_wallet(self.database, wallet)
        except Conflict as error:  # another request came first
            raise _already_loaded(wallet) from error
        await self._loader.load(registered.id, self._rules.load_wait_s)
        return await read_wallet(self.database, registered.id) or registered

    async def find(self, wallet_id: str) -> Wallet:
        """In whatever status. Raises: WalletNotFound."""
        wallet = await read_wallet(self.database, wallet_id)
        if wallet is None:
            raise WalletNotFound
        return wallet

    def _new(self, xpub: str, expected: str | None) -> Wallet:
        try:
            first = first_address(xpub, self._rules.network)
        except ProtocolError as error:
            raise invalid_payload([Problem(message=f"The xpub is not valid: {error}")]) from error
        check_first_address(self._rules, expected, first)
        return new_wallet(
            wallet_id=wallet_id(xpub),
            xpubkey=xpub,
            auth_xpubkey=xpub,
            max_gap=self._rules.max_gap,
            created_at_s=self.now_s,
        )


class LegacyWalletController(Controller):
    tags = (TAG,)

    @post(
        "/wallet",
        status_code=200,
        summary="Load a wallet",
        opt=Terms(access=Access.LEGACY, scope=READ, body=load_schema).opt,
        responses={400: refused("`invalid-payload` or `wallet-already-loaded`")},
    )
    async def load(
        self, request: Request, legacy_wallets: NamedDependency[LegacyWallets]
    ) -> LegacyStatusAnswer:
        body = legacy_wallets.load_schema.check(await read_body(request))
        return LegacyStatusAnswer(status=_status(await legacy_wallets.load(body)))

    @get(
        "/wallet",
        summary="How far a wallet is loaded",
        opt=Terms(access=Access.LEGACY, scope=READ, query=NAMED).opt,
        responses=UNKNOWN,
    )
    async def status(
        self, request: Request, legacy_wallets: NamedDependency[LegacyWallets]
    ) -> LegacyStatusAnswer:
        query = NAMED.check(read_query(request), convert=True)
        return LegacyStatusAnswer(status=_status(await legacy_wallets.find(query["id"])))

    @get(
        "/balances",
        summary="What a wallet has, by token",
        opt=Terms(access=Access.LEGACY, scope=READ, query=BALANCES, amounts=True).opt,
        responses=NOT_READY,
    )
    async def balances(
        self, request: Request, legacy_wallets: NamedDependency[LegacyWallets]
    ) -> LegacyBalancesAnswer:
        query = BALANCES.check(read_query(request), convert=True)
        wallet = require_ready(await legacy_wallets.find(query["id"]))
        found = await read_balances(
            legacy_wallets.database, wallet.id, query["token_id"], legacy_wallets.now_s
        )
        return LegacyBalancesAnswer(balances=[_balance(balance) for balance in found])

    @get(
        "/addresses",
        summary="A wallet's addresses",
        opt=Terms(access=Access.LEGACY, scope=READ, query=NAMED).opt,
        responses=NOT_READY,
    )
    async def addresses(
        self, request: Request, legacy_wallets: NamedDependency[LegacyWallets]
    ) -> LegacyAddressesAnswer:
        query = NAMED.check(read_query(request), convert=True)
        wallet = require_ready(await legacy_wallets.find(query["id"]))
        found = await histories.all_addresses(legacy_wallets.database, wallet.id)
        return LegacyAddressesAnswer(
            addresses=[
                LegacyAddress(address=each.address, index=each.index, transactions=each.transactions)
                for each in found
            ]
        )

    @get(
        "/txhistory",
        summary="A wallet's transactions of a token",
        opt=Terms(access=Access.LEGACY, scope=READ, query=HISTORY, amounts=True).opt,
        responses=NOT_READY,
    )
    async def history(
        self, request: Request, legacy_wallets: NamedDependency[LegacyWallets]
    ) -> LegacyHistoryAnswer:
        query = HISTORY.check(read_query(request), convert=True)
        wallet = require_ready(await legacy_wallets.find(query["id"]))
        skip, count = query["skip"], query["count"]
        found = await histories.history(legacy_wallets.database, wallet.id, query["token_id"], skip, count)
        return LegacyHistoryAnswer(history=[_entry(entry) for entry in found], skip=skip, count=count)


def _status(wallet: Wallet) -> LegacyStatus:
    return LegacyStatus(
        wallet_id=wallet.id,
        xpubkey=wallet.xpubkey,
        max_gap=wallet.max_gap,
        status=load_status(wallet),
        created_at=wallet.created_at_s,
        ready_at=wallet.ready_at_s,
    )


def _balance(balance: Balance) -> LegacyBalance:
    return LegacyBalance(
        token=LegacyTokenName(id=balance.token_id, name=balance.name, symbol=balance.symbol),
        transactions=balance.transactions,
        balance=balance_sums(balance, split=False),
        token_authorities=authority_sums(balance),
        lock_expires=balance.lock_expires_s,
    )


def _entry(entry: Entry) -> LegacyEntry:
    return LegacyEntry(
        tx_id=entry.tx_id, timestamp=entry.timestamp_s, balance=entry.transparent + entry.shielded
    )


def _already_loaded(wallet: Wallet) -> Refusal:
    return Refusal(400, "wallet-already-loaded", status=_status(wallet))
