"""Routes about a wallet's state and its addresses."""

from litestar import Response

from strongroom.hathor.api.refusal import Refusal
from strongroom.hathor.api.requests import Request, answer, bearer, read_body, read_query
from strongroom.hathor.api.validation import BASE58, Key, Schema, flag, number, text
from strongroom.hathor.wallets import history as histories
from strongroom.hathor.wallets.access import WalletReader
from strongroom.hathor.wallets.jwt import Tokens

LEGACY = Key(check=flag(), default=True)
LIST = Schema(keys={"index": Key(check=number(low=0)), "legacy": LEGACY})
NEW = Schema(keys={"legacy": LEGACY})
INFO = Schema(
    keys={"address": Key(check=text(pattern=BASE58, least=34, most=35), required=True)}, first_only=True
)
MINE = Schema(
    keys={"addresses": Key(check=text(pattern=BASE58, least=34, most=34), required=True, items=True)}
)


class AddressRoutes:
    def __init__(self, reader: WalletReader, tokens: Tokens) -> None:
        self._reader = reader
        self._tokens = tokens

    async def status(self, request: Request) -> Response[bytes]:
        wallet = await self._reader.wallet(bearer(request, self._tokens, full=False))
        return answer(status=wallet.encode())

    async def addresses(self, request: Request) -> Response[bytes]:
        principal = bearer(request, self._tokens, full=False)
        wallet, database = await self._reader.ready_wallet(principal), self._reader.database
        query = LIST.check(read_query(request), convert=True)
        index = query["index"]
        if not query["legacy"]:
            found = await histories.shielded_addresses(database, wallet.id, index)
        elif index is None:
            found = await histories.all_addresses(database, wallet.id)
        else:
            found = await histories.address_at(database, wallet.id, index)
        if index is not None and not found:
            raise Refusal(404, "address-not-found")
        return answer(addresses=found)

    async def info(self, request: Request) -> Response[bytes]:
        principal = bearer(request, self._tokens, full=False)
        wallet = await self._reader.ready_wallet(principal)
        name = INFO.check(read_query(request), convert=True)["address"]
        found = await histories.address_named(self._reader.database, wallet.id, name)
        if not found:
            raise Refusal(404, "address-not-found")
        return answer(data=found[0])

    async def new(self, request: Request) -> Response[bytes]:
        principal = bearer(request, self._tokens, full=False)
        legacy = NEW.check(read_query(request), convert=True)["legacy"]
        wallet, database = await self._reader.ready_wallet(principal), self._reader.database
        found = await histories.new_addresses(database, wallet.id, wallet.last_used_index, wallet.max_gap)
        if legacy:
            return answer(addresses=found)
        last = -1 if wallet.last_used_shielded_index is None else wallet.last_used_shielded_index
        told, on_chain = await histories.new_shielded_addresses(
            database, wallet.id, last, wallet.shielded_max_gap or 0
        )
        return answer(addresses=told, spendAddresses=on_chain, legacyAddresses=found)

    async def check_mine(self, request: Request) -> Response[bytes]:
        principal = bearer(request, self._tokens, full=True)
        wallet = await self._reader.ready_wallet(principal)
        asked = MINE.check(await read_body(request))["addresses"]
        mine = await histories.owned(self._reader.database, wallet.id, asked)
        return answer(addresses={address: address in mine for address in asked})

    async def used_beyond_first(self, request: Request) -> Response[bytes]:
        principal = bearer(request, self._tokens, full=False)
        wallet = await self._reader.ready_wallet(principal)
        used = await histories.used_beyond_first(self._reader.database, wallet.id)
        return answer(hasTransactions=used)
