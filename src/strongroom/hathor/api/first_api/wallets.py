"""The original's first API, of 2021: a wallet is named by its id alone, and nobody proves who they are.

So it is off unless the operator turns it on, answers on loopback only or to an API token, and to no web page.
"""

from typing import Any, TypeVar

from litestar import Response

from strongroom.core.clock import Clock
from strongroom.core.errors import Conflict, Forbidden, Unauthenticated
from strongroom.core.http.door import DoorRules, refused_body
from strongroom.core.security.tokens import Gatekeeper
from strongroom.core.storage.database import Database
from strongroom.hathor.api.refusal import Refusal, forbidden_route, unauthorized
from strongroom.hathor.api.requests import Request, answer, read_body, read_query
from strongroom.hathor.api.validation import Key, Problem, Schema, invalid_payload, number, text
from strongroom.hathor.api.wallets.holdings import encode_balance
from strongroom.hathor.api.wallets.registration import RegistrationRules
from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.keys import first_address, parse_xpub, wallet_id
from strongroom.hathor.wallets import history as histories
from strongroom.hathor.wallets.access import require_ready
from strongroom.hathor.wallets.balances import read_balances
from strongroom.hathor.wallets.loading import WalletLoader
from strongroom.hathor.wallets.registry import (
    Wallet,
    WalletNotFound,
    new_wallet,
    read_wallet,
    register_wallet,
)

T = TypeVar("T")

READ = "hathor:read"
SEND = "hathor:send"
SCOPES = {READ: "read and load wallets", SEND: "make, send and give up proposals"}
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


class LegacyAccess:
    """Who may use the first API: whoever has an API token with the right, and where none is required everybody."""

    def __init__(self, gatekeeper: Gatekeeper, door: DoorRules) -> None:
        """`door`: who may come without a token, where none is required."""
        self._gatekeeper = gatekeeper
        self._door = door

    async def admit(self, request: Request, scope: str) -> None:
        """Raises: Refusal: 401, 403 or 415."""
        authorization = request.headers.get("authorization")
        try:
            (await self._gatekeeper.identify(authorization)).require(scope)
        except Unauthenticated as error:
            raise unauthorized() from error
        except Forbidden as error:
            raise forbidden_route() from error
        if authorization is None:
            refused = self._door.caller(request.scope) or await refused_body(request.scope, request.body)
            if refused is not None:
                raise Refusal(refused.status, refused.code.replace("_", "-"), message=refused.message)


class LegacyRoutes:
    """`/wallet`, `/balances`, `/addresses`, `/txhistory`."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        loader: WalletLoader,
        access: LegacyAccess,
        rules: RegistrationRules,
    ) -> None:
        self._database = database
        self._clock = clock
        self._loader = loader
        self._access = access
        self._rules = rules
        self.load_schema = Schema(
            keys={
                "xpubkey": Key(check=text(), required=True),
                "firstAddress": Key(check=text(), required=rules.confirm_first_address),
            }
        )

    async def load(self, request: Request) -> Response[bytes]:
        """The account's key becomes the authentication key too, until the wallet registers one."""
        await self._access.admit(request, READ)
        body = self.load_schema.check(await read_body(request))
        wallet = self._new(body["xpubkey"], body["firstAddress"])
        stored = await read_wallet(self._database, wallet.id)
        if stored is not None:
            raise _already_loaded(stored)
        try:
            registered = await register_wallet(self._database, wallet)
        except Conflict as error:  # another request came first
            raise _already_loaded(wallet) from error
        await self._loader.load(registered.id, self._rules.load_wait_s)
        return answer(status=_status(await read_wallet(self._database, registered.id) or registered))

    async def status(self, request: Request) -> Response[bytes]:
        wallet, _ = await self._asked(request, NAMED)
        return answer(status=_status(wallet))

    async def balances(self, request: Request) -> Response[bytes]:
        wallet, query = await self._asked(request, BALANCES)
        now_s = self._clock.now_ms() // 1000
        found = await read_balances(self._database, require_ready(wallet).id, query["token_id"], now_s)
        documents = [encode_balance(balance, split=False) for balance in found]
        for document in documents:
            del document["token"]["version"]
        return answer(balances=documents)

    async def addresses(self, request: Request) -> Response[bytes]:
        wallet, _ = await self._asked(request, NAMED)
        rows = await histories.all_addresses(self._database, require_ready(wallet).id)
        return answer(addresses=[_only(row, "address", "index", "transactions") for row in rows])

    async def history(self, request: Request) -> Response[bytes]:
        wallet, query = await self._asked(request, HISTORY)
        skip, count = query["skip"], query["count"]
        rows = await histories.history(
            self._database, require_ready(wallet).id, query["token_id"], skip, count
        )
        entries = [_only(row, "txId", "timestamp", "balance") for row in rows]
        return answer(history=entries, skip=skip, count=count)

    async def _asked(self, request: Request, schema: Schema) -> tuple[Wallet, dict[str, Any]]:
        """The wallet that the query names, in whatever status, and the query."""
        await self._access.admit(request, READ)
        query = schema.check(read_query(request), convert=True)
        wallet = await read_wallet(self._database, query["id"])
        if wallet is None:
            raise WalletNotFound
        return wallet, query

    def _new(self, xpub: str, expected: str | None) -> Wallet:
        try:
            parse_xpub(xpub)
            first = first_address(xpub, self._rules.network)
        except ProtocolError as error:
            raise invalid_payload([Problem(message=f"The xpub is not valid: {error}")]) from error
        if self._rules.confirm_first_address and expected != first:
            message = f"Expected first address to be {expected} but it is {first}"
            raise Refusal(400, "invalid-payload", message=message)
        return new_wallet(
            wallet_id=wallet_id(xpub),
            xpubkey=xpub,
            auth_xpubkey=xpub,
            max_gap=self._rules.max_gap,
            created_at_s=self._clock.now_ms() // 1000,
        )


def _status(wallet: Wallet) -> dict[str, Any]:
    return _only(wallet.encode(), "walletId", "xpubkey", "maxGap", "status", "createdAt", "readyAt")


def _already_loaded(wallet: Wallet) -> Refusal:
    return Refusal(400, "wallet-already-loaded", status=_status(wallet))


def _only(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: document[name] for name in names}
