"""Routes about the chain as a whole. The original has them as functions without a route, or had them once."""

from litestar import Response

from strongroom.core.errors import NotFound
from strongroom.core.storage.database import Database
from strongroom.hathor.api.refusal import Refusal
from strongroom.hathor.api.requests import Request, answer, bearer
from strongroom.hathor.api.validation import Key, Schema, text
from strongroom.hathor.index.blocks import read_best_block, read_miners
from strongroom.hathor.index.supply import Supplies
from strongroom.hathor.wallets.jwt import Tokens

TOKEN = Schema(keys={"token_id": Key(check=text(alphanumeric=True, most=64), required=True)})


class ChainRoutes:
    def __init__(self, database: Database, supplies: Supplies, tokens: Tokens) -> None:
        self._database = database
        self._supplies = supplies
        self._tokens = tokens

    async def miners(self, request: Request) -> Response[bytes]:
        bearer(request, self._tokens, full=False)
        return answer(miners=await read_miners(self._database))

    async def latest_block(self, request: Request) -> Response[bytes]:
        bearer(request, self._tokens, full=False)
        return answer(block=await read_best_block(self._database))

    async def total_supply(self, request: Request) -> Response[bytes]:
        bearer(request, self._tokens, full=False)
        token_id = TOKEN.check(request.path_params)["token_id"]
        try:
            return answer(totalSupply=await self._supplies.total(token_id))
        except NotFound as error:
            details = [{"message": "Token not found"}]
            raise Refusal(404, "token-not-found", details=details) from error
