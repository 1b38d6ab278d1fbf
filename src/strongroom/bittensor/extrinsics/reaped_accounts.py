"""Handles accounts that the chain removed because their balance was too low: made again, they count from nonce 0.

An extrinsic of the removed account cannot take effect in the new one after its era is over. So all our eras end.
"""

from strongroom.bittensor.extrinsics.nonces import ChainBehind, begin_nonces_at, newest_final
from strongroom.bittensor.gateway import Chain, Item
from strongroom.core.storage.database import Database


async def begin_again(chain: Chain, database: Database, public_key: bytes, behind: ChainBehind) -> None:
    """Sets the account's lowest nonce to that of the final block, if the node has every final block that we have seen.

    Raises:
        ChainBehind: it does not have them. The exception is `behind`.
        Unavailable: no node answers.
    """
    newest = await database.read(newest_final)
    heads = await chain.heads()
    if (
        newest is None
        or heads.final.number < newest.number
        or await chain.block_hash(newest.number) != newest.hash
    ):
        raise behind
    (account,) = await chain.read([Item("System", "Account", (public_key,))], heads.final.hash)
    nonce = int(account["nonce"])
    await database.write(lambda connection: begin_nonces_at(connection, public_key, nonce))
