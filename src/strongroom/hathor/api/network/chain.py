"""The chain as a whole. The original has these routes as functions without a route, or had them once."""

import msgspec
from litestar import Controller, get
from litestar.di import NamedDependency

from strongroom.core.errors import NotFound
from strongroom.core.storage.database import Database
from strongroom.hathor.api.answers import Amount, Hash, Seconds, Success
from strongroom.hathor.api.refusal import Refusal, refused
from strongroom.hathor.api.requests import Request
from strongroom.hathor.api.terms import Access, Terms
from strongroom.hathor.api.validation import Key, Schema, text
from strongroom.hathor.index.blocks import read_best_block, read_miners
from strongroom.hathor.index.supply import Supplies

TOKEN = Schema(keys={"token_id": Key(check=text(alphanumeric=True, most=64), required=True)})


class MinerEntry(msgspec.Struct, kw_only=True, rename="camel"):
    address: str
    first_block: Hash
    last_block: Hash
    count: int


class MinersAnswer(Success, kw_only=True):
    miners: list[MinerEntry]


class BlockView(msgspec.Struct, kw_only=True, rename="camel"):
    tx_id: Hash
    height: int
    timestamp: Seconds


class BlockAnswer(Success, kw_only=True):
    block: BlockView | None


class SupplyAnswer(Success, kw_only=True, rename="camel"):
    total_supply: Amount


class ChainController(Controller):
    tags = ("Chain",)

    @get("/miners", summary="Who mined how many blocks", opt=Terms(access=Access.TOKEN).opt)
    async def miners(self, database: NamedDependency[Database]) -> MinersAnswer:
        found = await read_miners(database)
        return MinersAnswer(
            miners=[
                MinerEntry(
                    address=miner.address,
                    first_block=miner.first_block,
                    last_block=miner.last_block,
                    count=miner.blocks,
                )
                for miner in found
            ]
        )

    @get("/blocks/latest", summary="The best block", opt=Terms(access=Access.TOKEN).opt)
    async def latest_block(self, database: NamedDependency[Database]) -> BlockAnswer:
        found = await read_best_block(database)
        if found is None:
            return BlockAnswer(block=None)
        return BlockAnswer(
            block=BlockView(tx_id=found.tx_id, height=found.height, timestamp=found.timestamp_s)
        )

    @get(
        "/tokens/{token_id:str}/supply",
        summary="How much of a token there is",
        opt=Terms(access=Access.TOKEN, path=TOKEN, amounts=True).opt,
        responses={404: refused("`token-not-found`")},
    )
    async def total_supply(self, request: Request, supplies: NamedDependency[Supplies]) -> SupplyAnswer:
        token_id = TOKEN.check(request.path_params)["token_id"]
        try:
            return SupplyAnswer(total_supply=await supplies.total(token_id))
        except NotFound as error:
            details = [{"message": "Token not found"}]
            raise Refusal(404, "token-not-found", details=details) from error
